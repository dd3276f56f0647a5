"""What an HTTP status means that is no answer, for whoever asked."""

import email.utils
import time

from kuma_sd.core.errors import SourceError
from kuma_sd.core.url import parse_url
from kuma_sd.http.client import HttpResponse

_BUSY = (429, 503)
_MOVED = range(300, 400)


def refused(response: HttpResponse) -> SourceError:
    """Return the error that a status means that stands for no answer."""
    status, wait = response.status, retry_after(str(response.headers.get("Retry-After", "")))
    if status in (401, 403):
        return SourceError(f"it refuses our credentials (HTTP status {status}); check bearer-token-file or basic-auth")
    if status == 407:  # noqa: PLR2004 (Proxy Authentication Required)
        return SourceError("the proxy refuses our credentials (HTTP status 407); check user and password in its URL")
    if status == 429:  # noqa: PLR2004 (Too Many Requests)
        return SourceError("it wants us to ask less often (HTTP status 429)", retry_after=wait)
    if status in _MOVED:
        return SourceError(f"it redirects to {_place(response)}; set cp-address to that")
    return SourceError(f"HTTP status {status}", retry_after=wait)


def _place(response: HttpResponse) -> str:
    """Return where a redirect leads, without what may be a secret."""
    try:
        return repr(str(parse_url(str(response.headers.get("Location", "")))))
    except ValueError:
        return "another place"


def retry_after(text: str) -> float:
    """Return how long a server wants to be left alone, in seconds: a number of them, or a date (RFC 9110, 10.2.3)."""
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0
