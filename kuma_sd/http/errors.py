"""Errors of a request that decide what to try next."""

from kuma_sd.core.errors import SourceError
from kuma_sd.core.option_types import SIZE


class TooLargeError(SourceError):
    """The response is larger than max-message-size. Other protocols are not tried: they would not make it smaller.

    Args:
        limit: max-message-size, in bytes.
        size: the response's size in bytes, if known.
    """

    def __init__(self, limit: int, size: int = 0) -> None:
        enough = 2 ** (max(2 * limit, size) - 1).bit_length()
        what = f"the response is larger than max-message-size ({SIZE.show(limit)})"
        super().__init__(f"{what}, raise it to {SIZE.show(enough)} or more")


class SilentError(SourceError):
    """The server accepted the request but did not respond in time; it may be slow or hung."""
