"""What can go wrong with a request, where it matters for what to try next."""

from kuma_sd.core.errors import SourceError
from kuma_sd.core.options import SIZE


class TooLargeError(SourceError):
    """The response is larger than max-message-size; no other protocol would make it smaller.

    Args:
        limit: what it is larger than, in bytes.
        size: how large it is, as far as that is known.
    """

    def __init__(self, limit: int, size: int = 0) -> None:
        enough = 2 ** (max(2 * limit, size) - 1).bit_length()
        what = f"the response is larger than max-message-size ({SIZE.show(limit)})"
        super().__init__(f"{what}, raise it to {SIZE.show(enough)} or more")


class SilentError(SourceError):
    """The server took the request but did not answer in time; it may be slow, or locked up."""
