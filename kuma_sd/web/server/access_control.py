"""Access control of web listeners: authentication, allowed hosts and methods, security headers."""

import ipaddress
import re
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kuma_sd.web.application import Refused, Response, send
from kuma_sd.web.paths import is_reserved
from kuma_sd.web.server.web_config import WebConfig

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

READING = ("GET", "HEAD", "OPTIONS")
"""The methods that change nothing (RFC 9110, 9.2.1)."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "deny",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
"""Default response headers; the application and the web configuration can override them."""

STRICT_TRANSPORT_SECURITY = "Strict-Transport-Security"

HEADERS_OVER_TLS = {STRICT_TRANSPORT_SECURITY: "max-age=31536000"}
"""Further default headers with TLS; they are forbidden over plain HTTP (RFC 6797, 7.2)."""


class AccessControl:
    """Passes allowed requests to an application, and rejects others.

    Args:
        application: the WSGI application.
        config: returns the current web configuration.
        may_change: returns whether the daemon's own paths allow methods that change something.
        hosts: returns the allowed host names; empty allows all that are safe.
        only_local: whether only programs on this machine can connect.
    """

    def __init__(
        self,
        application: "WSGIApplication",
        config: Callable[[], WebConfig],
        may_change: Callable[[], bool],
        hosts: Callable[[], Collection[str]],
        *,
        only_local: bool,
    ) -> None:
        self._application = application
        self._config = config
        self._may_change = may_change
        self._hosts = hosts
        self._only_local = only_local

    def __call__(self, environment: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer a request (the WSGI entry point)."""
        config = self._config()

        def start(status: str, headers: list[tuple[str, str]], *failure: Any) -> Callable[[bytes], object]:  # noqa: ANN401 (WSGI's exc_info)
            over_tls = environment.get("wsgi.url_scheme") == "https"
            return start_response(status, _with_ours(headers, config, over_tls=over_tls), *failure)

        try:
            self._check(environment, config)
        except Refused as refusal:
            response = Response.lines(str(refusal), status=refusal.status, headers=refusal.headers)
            return send(response, environment["REQUEST_METHOD"], start)
        return self._application(environment, start)

    def _check(self, environment: "WSGIEnvironment", config: WebConfig) -> None:
        if config.rate_limit:
            config.rate_limit.check()
        hosts, name = self._hosts(), _name_of(environment.get("HTTP_HOST", ""))
        # DNS rebinding cannot succeed with authentication or TLS: a foreign page has neither password nor certificate.
        is_open = not config.authentication and not config.tls
        is_known = _is_known(name, hosts)
        if not is_known and (hosts or (is_open and self._only_local)):
            raise Refused(403, f"asked for as {name!r}, which is none of its names; {_REMEDY}")
        if config.authentication:
            config.authentication.check(environment.get("HTTP_AUTHORIZATION", ""), environment.get("REMOTE_ADDR", ""))
        if environment["REQUEST_METHOD"] not in READING:
            _check_origin(environment, is_trusted=is_known or not is_open)
            if is_reserved(environment.get("PATH_INFO", "")) and not self._may_change():
                raise Refused(
                    403, "this changes something; set enable-lifecycle in [web], or ask over the control socket"
                )


_REMEDY = "ask for localhost or an address, or set hosts, or users in config-file, in [web]"


def _with_ours(headers: list[tuple[str, str]], config: WebConfig, *, over_tls: bool) -> list[tuple[str, str]]:
    ours = HEADERS | (HEADERS_OVER_TLS if over_tls else {})
    by_name = {name.lower(): (name, value) for name, value in ours.items()}
    by_name.update((name.lower(), (name, value)) for name, value in headers)
    by_name.update((name.lower(), (name, value)) for name, value in config.headers.items())
    if not over_tls:
        by_name.pop(STRICT_TRANSPORT_SECURITY.lower(), None)
    return [(name, value) for name, value in by_name.values() if value]


def _name_of(host: str) -> str:
    """Return the host name of a ``Host`` header, without the port."""
    return re.sub(r":[0-9]*$", "", host).strip("[]").rstrip(".").lower()


def _is_known(name: str, hosts: Collection[str]) -> bool:
    """Tell whether a host name is safe from DNS rebinding."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name in ("", "localhost") or name.endswith(".localhost") or name in hosts
    return True


def _check_origin(environment: "WSGIEnvironment", *, is_trusted: bool) -> None:
    """Reject cross-site requests of browsers; other clients send neither header."""
    site, origin = environment.get("HTTP_SEC_FETCH_SITE"), environment.get("HTTP_ORIGIN")
    if site is None and origin is None:
        return
    if site is not None:
        foreign = site not in ("same-origin", "none")
    else:
        foreign = urlsplit(origin or "").netloc != environment.get("HTTP_HOST")
    if foreign:
        raise Refused(403, "a page of another site may not do this")
    if not is_trusted:
        raise Refused(403, f"a page may do this only where it was asked for by a name of this machine; {_REMEDY}")
