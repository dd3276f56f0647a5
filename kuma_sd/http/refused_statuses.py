"""Turn HTTP error statuses into errors."""

import email.utils
import time

from kuma_sd.core.errors import SourceError
from kuma_sd.core.url import parse_url
from kuma_sd.http.client import HttpResponse

_DEFAULT_PORTS = {"http": 80, "https": 443}

_MOVED = range(300, 400)

_ELSEWHERE = "another server, which `curl -I` shows"


def refused(response: HttpResponse) -> SourceError:
    """Return the error for a response with an error status; it quotes nothing of the response."""
    status, wait = response.status, retry_after(str(response.headers.get("Retry-After", "")))
    if status in (401, 403):
        return SourceError(f"it rejects the credentials (HTTP status {status}); check bearer-token-file or basic-auth")
    if status == 407:  # noqa: PLR2004 (Proxy Authentication Required)
        return SourceError("the proxy rejects the credentials (HTTP status 407); check user and password in its URL")
    if status == 429:  # noqa: PLR2004 (Too Many Requests)
        return SourceError("it limits the rate of requests (HTTP status 429)", retry_after=wait)
    if status in _MOVED:
        return SourceError(f"it redirects to {_place(response)}; set cp-address to that")
    return SourceError(f"HTTP status {status}", retry_after=wait)


def _place(response: HttpResponse) -> str:
    """Describe where a redirect leads. Only the host that was asked is shown: another one may hold a secret."""
    location, server = str(response.headers.get("Location", "")), response.server
    if not location.startswith(("http:", "https:")):
        return "another path"
    try:
        url = parse_url(location)
        ((host, port),) = url.servers(_DEFAULT_PORTS[url.scheme])
    except ValueError:
        return _ELSEWHERE
    if server is None or host.lower() != server.host.lower():
        return _ELSEWHERE
    moved = server.at(port, tls=url.scheme == "https")
    return (
        "another path"
        if moved.authority == server.authority and moved.tls == server.tls
        else f"{url.scheme}://{moved.shown}"
    )


def retry_after(text: str) -> float:
    """Parse Retry-After, a number of seconds or a date (RFC 9110, 10.2.3); return seconds."""
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0
