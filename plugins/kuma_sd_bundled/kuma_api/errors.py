"""What can be wrong with an answer, where it matters for what to do next."""

from kuma_sd import SourceError


class NotFoundError(SourceError):
    """Nothing is there: the resource was deleted, or this Kuma does not have such a list."""


class DeletedError(NotFoundError):
    """Kuma says that the resource does not exist; what a proxy or a gateway does not find may well exist."""
