"""Explain why gRPC failed, in our own words: the text of gRPC may hold what the server sent."""

import re
from collections.abc import Callable

from kuma_sd.core.errors import ConnectionClosedError, SourceError
from kuma_sd.mads.errors import UnreachableError

_SILENT = "it does not answer pings"

_CUT = "reset by peer|[Ss]ocket closed|Broken pipe|Endpoint closing|Transport closed"

# The texts of gRPC's C core, and what they mean. Where they have a number, only that is taken over.
_KNOWN = (
    (r"HTTP proxy returned response code ([0-9]{3})\b", "the proxy refuses with HTTP status {}"),
    (r"Received http2 header with status: ([0-9]{3})\b", "HTTP status {}"),
    (r"RST_STREAM with error code ([0-9]{1,2})\b", "it reset the stream with HTTP/2 error {}"),
    (r"GOAWAY received; Error code: ([0-9]{1,2})\b", "it closed the connection with HTTP/2 error {}"),
    (r"CERTIFICATE_VERIFY_FAILED", "TLS fails: its certificate is not trusted; name its authority with tls-ca-file"),
    (
        r"Hostname Verification|not in peer certificate",
        "TLS fails: its certificate is for another name; if it is the right server, name it with tls-server-name",
    ),
    (r"WRONG_VERSION_NUMBER|HTTP_REQUEST", "TLS fails: it does not use TLS"),
    (r"ALPN", "it does not speak HTTP/2 over TLS"),
    (r"(?:Tls|Ssl|SSL|TLS) handshake failed|Handshake read failed", "TLS fails"),
    (r"Failed parsing HTTP/2|HTTP1|http1\.x", "it does not speak HTTP/2"),
    (r"errors resolving|Domain name not found|DNS resolution failed", "its name does not resolve"),
    (r"Connection refused", "Connection refused"),
    (r"No route to host", "No route to host"),
    (r"Network is unreachable", "Network is unreachable"),
    (r"timed out|[Tt]imeout occurred", "no connection in time"),
    (r"keepalive|ping timeout", _SILENT),
    (_CUT, "the connection was closed"),
    (r"No status received", "the stream ended without a status"),
)

_CLOSED = f"RST_STREAM|GOAWAY|Stream removed|{_CUT}"
"""The texts of a stream that was closed or reset, whatever its status."""


def failed(status: str, details: str, *, answered: bool = False) -> SourceError:
    """Return the error for a failed stream.

    Args:
        status: the name of the gRPC status.
        details: the text of gRPC; only what is known of it is used.
        answered: whether the stream had brought a response.
    """
    why = _explained(details)
    name = f"gRPC status {status.lower().replace('_', ' ')}"
    text = f"{name}: {why}" if why else name
    kind: Callable[[str], SourceError] = SourceError
    if status == "UNAVAILABLE":
        text, kind = why or "it is unavailable", UnreachableError
    if answered and why != _SILENT and (status in ("UNAVAILABLE", "CANCELLED") or re.search(_CLOSED, details)):
        kind = ConnectionClosedError
    elif status in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
        text = f"it rejects the credentials ({name}); check bearer-token-file or basic-auth"
    return kind(text)


def _explained(details: str) -> str:
    for pattern, words in _KNOWN:
        if found := re.search(pattern, details):
            return words.format(*found.groups())
    return ""
