"""What can go wrong with a request, where it matters for what to try next."""

from kuma_sd.core.errors import SourceError


class TooLargeError(SourceError):
    """The response is larger than max-message-size; no other protocol would make it smaller."""


class SilentError(SourceError):
    """The server took the request but did not answer in time; it may be slow, or locked up."""
