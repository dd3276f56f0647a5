"""What can be wrong with an answer, where it matters for what to do next."""

from kuma_sd import SourceError


class NotFoundError(SourceError):
    """Nothing is there: the resource was deleted, or this Kuma does not have such a list."""
