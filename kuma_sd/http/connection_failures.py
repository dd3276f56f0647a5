"""Explain connection failures, and what to do about them."""

import http.client
import ssl

from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError, ProxyError

from kuma_sd.http.proxies import Proxy

CONNECT_TIMEOUT = 5.0
"""Connect timeout, in seconds."""

# X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH of OpenSSL's x509_vfy.h.
_OTHER_NAME = (62, 64)


def cause_of(error: BaseException) -> BaseException:
    """Return the original error that an urllib3 error wraps."""
    for inner in (error.__cause__, getattr(error, "reason", None), *reversed(error.args)):
        if isinstance(inner, BaseException):
            return inner
    return error


def reason_of(error: BaseException) -> str:
    """Return an error's message without the libraries' prefixes."""
    cause = cause_of(error)
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__


def connecting_fails(error: BaseException, proxy: Proxy | None) -> str:
    """Describe why the connection failed."""
    if isinstance(error, ProxyError):
        return f"the proxy {proxy} fails: {connecting_fails(error.original_error, None)}"
    if isinstance(error, NameResolutionError):
        return f"the name {error.conn.host!r} does not resolve"
    if isinstance(error, ConnectTimeoutError) and not isinstance(error, NewConnectionError):
        return f"no connection within {CONNECT_TIMEOUT:g}s"
    return reason_of(error)


def is_about_tls(error: BaseException) -> bool:
    """Tell whether TLS failed."""
    return isinstance(cause_of(error), ssl.SSLError)


def is_about_trust(error: BaseException) -> bool:
    """Tell whether the server's certificate was rejected."""
    return isinstance(cause_of(error), ssl.SSLCertVerificationError)


def tls_fails(error: BaseException) -> str:
    """Describe why the TLS handshake failed."""
    cause = cause_of(error)
    if not isinstance(cause, ssl.SSLCertVerificationError):
        return f"TLS fails: {reason_of(error)}"
    if cause.verify_code in _OTHER_NAME:
        return f"TLS fails: {cause.verify_message}; if it is the right server, name it with tls-server-name"
    return f"TLS fails: {cause.verify_message}; name the certificate of its authority with tls-ca-file"


def answer_fails(error: BaseException) -> str:
    """Describe what is wrong with a response."""
    cause = cause_of(error)
    match cause:
        case http.client.RemoteDisconnected():
            return "the connection was closed before an answer came"
        case http.client.BadStatusLine() | http.client.UnknownProtocol():
            return "it does not speak HTTP"
        case http.client.IncompleteRead():
            return "the connection was closed in the middle of an answer"
        case http.client.HTTPException() if type(cause) in (http.client.HTTPException, http.client.LineTooLong):
            # urllib3 has no separate class for the first.
            return "its answer has more than 100 headers, or one longer than 64KiB"
        case ConnectionError():
            return "the connection was closed"
        case _:
            return reason_of(error)
