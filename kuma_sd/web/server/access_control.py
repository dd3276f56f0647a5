"""What stands in front of the application where anybody may connect: who may come in, and what browsers are told."""

import ipaddress
import re
from collections.abc import Callable, Iterable
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
"""What an answer says if neither it nor the web configuration says otherwise."""


class AccessControl:
    """Lets requests through to an application, or says why not.

    Args:
        application: what answers.
        config: returns the web configuration of this moment.
        may_change: returns whether the daemon's own paths take more than questions here.
        only_local: this is where only programs of this machine get to.
    """

    def __init__(
        self,
        application: "WSGIApplication",
        config: Callable[[], WebConfig],
        may_change: Callable[[], bool],
        *,
        only_local: bool,
    ) -> None:
        self._application = application
        self._config = config
        self._may_change = may_change
        self._only_local = only_local

    def __call__(self, environment: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer a request, as WSGI wants it."""
        config = self._config()

        def start(status: str, headers: list[tuple[str, str]], *failure: Any) -> Callable[[bytes], object]:  # noqa: ANN401 (WSGI's exc_info)
            return start_response(status, _with_ours(headers, config), *failure)

        try:
            self._check(environment, config)
        except Refused as refusal:
            response = Response.lines(str(refusal), status=refusal.status, headers=refusal.headers)
            return send(response, environment["REQUEST_METHOD"], start)
        return self._application(environment, start)

    def _check(self, environment: "WSGIEnvironment", config: WebConfig) -> None:
        if self._only_local and not config.authentication and not config.tls:
            _check_host(environment.get("HTTP_HOST", ""))
        if config.authentication:
            config.authentication.check(environment.get("HTTP_AUTHORIZATION", ""), environment.get("REMOTE_ADDR", ""))
        if environment["REQUEST_METHOD"] not in READING:
            _check_origin(environment)
            if is_reserved(environment.get("PATH_INFO", "")) and not self._may_change():
                raise Refused(
                    403, "this changes something; set enable-lifecycle in [web], or ask over the control socket"
                )


def _with_ours(headers: list[tuple[str, str]], config: WebConfig) -> list[tuple[str, str]]:
    by_name = {name.lower(): (name, value) for name, value in HEADERS.items()}
    by_name.update((name.lower(), (name, value)) for name, value in headers)
    by_name.update((name.lower(), (name, value)) for name, value in config.headers.items())
    return list(by_name.values())


def _check_host(host: str) -> None:
    """Refuse a web page that made its own name mean this machine, to read here (DNS rebinding)."""
    name = re.sub(r":[0-9]*$", "", host).strip("[]").rstrip(".").lower()
    try:
        ipaddress.ip_address(name)
    except ValueError:
        if name and name != "localhost" and not name.endswith(".localhost"):
            raise Refused(
                403,
                f"asked for as {name!r}, but this is for programs of its own machine: ask for localhost or an address, "
                "or set users in config-file, or another listen-address, in [web]",
            ) from None


def _check_origin(environment: "WSGIEnvironment") -> None:
    """Refuse what a page of another site makes a browser send; programs that are no browsers send neither header."""
    site, origin = environment.get("HTTP_SEC_FETCH_SITE"), environment.get("HTTP_ORIGIN")
    if site is not None:
        foreign = site not in ("same-origin", "none")
    else:
        foreign = origin is not None and urlsplit(origin).netloc != environment.get("HTTP_HOST")
    if foreign:
        raise Refused(403, "a page of another site may not do this")
