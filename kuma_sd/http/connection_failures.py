"""Explain connection failures, and what to do about them, in our own words: libraries quote what the server sent."""

import http.client
import re
import ssl

from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError, ProxyError

from kuma_sd.core.response_descriptions import certificate_shown
from kuma_sd.http.answer_limits import EndlessError
from kuma_sd.http.proxies import Proxy

CONNECT_TIMEOUT = 5.0
"""Connect timeout, in seconds."""

# The text of http.client, which goes on with what the proxy sent.
_TUNNEL = re.compile(r"Tunnel connection failed: ([0-9]{3})\b")

_CLOSED = "the connection was closed"

# A subclass comes before its base.
_ANSWERS: tuple[tuple[type[BaseException], str], ...] = (
    (http.client.RemoteDisconnected, "the connection was closed before an answer came"),
    (http.client.BadStatusLine, "it does not speak HTTP"),
    (http.client.UnknownProtocol, "it does not speak HTTP"),
    (http.client.IncompleteRead, "the connection was closed in the middle of an answer"),
    (http.client.LineTooLong, "its answer has more than 100 headers, or one longer than 64KiB"),
    (ConnectionError, _CLOSED),
)


def cause_of(error: BaseException) -> BaseException:
    """Return the original error that an urllib3 error wraps."""
    for inner in (error.__cause__, getattr(error, "reason", None), *reversed(error.args)):
        if isinstance(inner, BaseException):
            return inner
    return error


def reason_of(error: BaseException) -> str:
    """Return the reason that the system or the TLS library gives; empty if there is none."""
    cause = cause_of(error)
    return (isinstance(cause, OSError) and cause.strerror) or ""


def connecting_fails(error: BaseException, proxy: Proxy | None) -> str:
    """Describe why the connection failed."""
    if isinstance(error, ProxyError):
        return f"the proxy {proxy} fails: {connecting_fails(error.original_error, None)}"
    if isinstance(error, NameResolutionError):
        return "its name does not resolve"
    if isinstance(error, ConnectTimeoutError) and not isinstance(error, NewConnectionError):
        return f"no connection within {CONNECT_TIMEOUT:g}s"
    if found := _TUNNEL.match(str(cause_of(error))):
        return f"it refuses to connect (HTTP status {found[1]})"
    return reason_of(error) or answer_fails(error)


def is_about_tls(error: BaseException) -> bool:
    """Tell whether TLS failed."""
    return isinstance(cause_of(error), ssl.SSLError)


def is_closed(error: BaseException) -> bool:
    """Tell whether the connection was closed before a response came; half a response is a wrong one."""
    return isinstance(cause_of(error), ConnectionError)


def is_about_trust(error: BaseException) -> bool:
    """Tell whether the server's certificate was rejected."""
    return isinstance(cause_of(error), ssl.SSLCertVerificationError)


def tls_fails(error: BaseException) -> str:
    """Describe why the TLS handshake failed."""
    cause = cause_of(error)
    if not isinstance(cause, ssl.SSLCertVerificationError):
        return f"TLS fails: {reason_of(error) or answer_fails(error)}"
    return f"TLS fails: {certificate_shown(cause, 'if it is the right server, name it with tls-server-name')}"


def answer_fails(error: BaseException) -> str:
    """Describe what is wrong with a response."""
    cause = cause_of(error)
    if isinstance(cause, EndlessError):
        return str(cause)
    if type(cause) is http.client.HTTPException:
        # Too many headers, which has no class of its own.
        cause = http.client.LineTooLong("header line")
    known = next((words for kind, words in _ANSWERS if isinstance(cause, kind)), "")
    return known or reason_of(error) or "its answer is not valid HTTP"
