"""Which proxy leads to a server. It is decided here, once, for HTTP and gRPC alike."""

import ipaddress
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from kuma_sd.core.errors import ConfigError
from kuma_sd.core.text import masked
from kuma_sd.http.address import Endpoint

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Proxy:
    """An HTTP proxy.

    Args:
        scheme: ``http``, or ``https`` for one that is spoken to over TLS.
        host: its name or IP address, an IPv6 address in brackets.
        port: its port.
        user: ``user:password`` to log in there; empty when it wants none. Never shown.
    """

    scheme: str
    host: str
    port: int
    user: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    @property
    def url_with_user(self) -> str:
        """The URL with user and password, as gRPC wants it."""
        name, colon, password = self.user.partition(":")
        user = quote(name, safe="") + colon + quote(password, safe="")
        return f"{self.scheme}://{user}{'@' * bool(user)}{self.host}:{self.port}"


def proxy_for(endpoint: Endpoint, option: str, environment: Mapping[str, str] = os.environ) -> Proxy | None:
    """Return the proxy to use; None for a direct connection.

    Args:
        endpoint: where the server listens.
        option: the URL of the proxy that the settings name; it is used for every server. If it is empty, the
            environment decides, as in other programs: http_proxy, https_proxy for TLS, and no_proxy; each also in
            capitals.
        environment: the variables.

    Raises:
        ConfigError: what is said is no HTTP proxy.
    """
    if option:
        return parse_proxy(option, "proxy")
    name = "https_proxy" if endpoint.tls else "http_proxy"
    url = _variable(name, environment)
    if not url or is_excepted(endpoint, _variable("no_proxy", environment)):
        return None
    return parse_proxy(url, f"the environment's {name}")


def parse_proxy(text: str, origin: str) -> Proxy:
    """Read the URL of a proxy; ``http://`` may be left out.

    Raises:
        ConfigError: it is no such URL; the message begins with the origin.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "http", text
    if scheme.lower() not in _DEFAULT_PORTS:
        raise ConfigError(f"{origin} {masked(text)!r} is no HTTP proxy; only http:// and https:// can be used")
    wrong = ConfigError(f"{origin} {masked(f'{scheme}://{rest}')!r} is not a URL like http://proxy.internal:3128")
    try:
        url = urlsplit(f"//{rest}")
        host, port = url.hostname, url.port
    except ValueError:
        raise wrong from None
    if not host or not host.isascii() or url.path.strip("/") or url.query or url.fragment:
        raise wrong
    user = unquote(url.netloc.rpartition("@")[0])
    bracketed = f"[{host}]" if ":" in host else host
    return Proxy(scheme.lower(), bracketed, port or _DEFAULT_PORTS[scheme.lower()], user)


def is_excepted(endpoint: Endpoint, no_proxy: str) -> bool:
    """Tell whether no_proxy names a server.

    Its items stand between commas or blanks: ``*`` for all, a name for itself and all below it, also with ``.`` or
    ``*.`` in front, an IP address, or a network like ``10.0.0.0/8``; each also with a port.
    """
    return any(_names(item, endpoint) for item in re.split(r"[,\s]+", no_proxy.lower()) if item)


def _names(item: str, endpoint: Endpoint) -> bool:
    if item == "*":
        return True
    for name, port in _readings(item):
        if port in (None, endpoint.port) and _is_or_holds(name, endpoint.host.lower().rstrip(".")):
            return True
    return False


def _readings(item: str) -> Iterator[tuple[str, int | None]]:
    """Yield what an item may mean: an IPv6 address has colons of its own."""
    yield item.strip("[]"), None
    name, _, port = item.rpartition(":")
    if name and port.isascii() and port.isdecimal():
        yield name.strip("[]"), int(port)


def _is_or_holds(name: str, host: str) -> bool:
    try:
        network = ipaddress.ip_network(name, strict=False)
    except ValueError:
        domain = name.removeprefix("*").strip(".")
        return bool(domain) and (host == domain or host.endswith(f".{domain}"))
    try:
        return ipaddress.ip_address(host) in network
    except ValueError:
        return False


def _variable(name: str, environment: Mapping[str, str]) -> str:
    return environment.get(name, environment.get(name.upper(), "")).strip()
