"""Which proxy leads to a server. It is decided here, once, for HTTP and gRPC alike."""

import ipaddress
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from kuma_sd.core.errors import ConfigError
from kuma_sd.core.secret import NOTHING, Secret
from kuma_sd.core.url import Url, parse_url
from kuma_sd.http.address import Endpoint

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Proxy:
    """An HTTP proxy; as text it is shown without user and password.

    Args:
        scheme: ``http``, or ``https`` for one that is spoken to over TLS.
        host: its name or IP address, an IPv6 address in brackets.
        port: its port.
        user: the user to log in as there; empty when it wants none.
        password: the user's password.
    """

    scheme: str
    host: str
    port: int
    user: str = ""
    password: Secret = NOTHING

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    def reveal(self) -> str:
        """Return the URL with user and password, as gRPC wants it."""
        credentials = f"{quote(self.user, safe='')}:{quote(self.password.reveal(), safe='')}@" if self.user else ""
        return f"{self.scheme}://{credentials}{self.host}:{self.port}"


def proxy_for(endpoint: Endpoint, option: Url | None, environment: Mapping[str, str] = os.environ) -> Proxy | None:
    """Return the proxy to use; None for a direct connection.

    Args:
        endpoint: where the server listens.
        option: the proxy that the settings name; it is used for every server. If there is none, the environment
            decides, as in other programs: http_proxy, https_proxy for TLS, and no_proxy; each also in capitals.
        environment: the variables.

    Raises:
        ConfigError: what is said is no HTTP proxy.
    """
    if option:
        return _proxy(option, "proxy")
    name = "https_proxy" if endpoint.tls else "http_proxy"
    text = _variable(name, environment)
    if not text or is_excepted(endpoint, _variable("no_proxy", environment)):
        return None
    origin = f"the environment's {name}"
    try:
        # The scheme is often left out there.
        return _proxy(parse_url(text if "://" in text else f"http://{text}"), origin)
    except ValueError as error:
        raise ConfigError(f"{origin} {error}") from None


def _proxy(url: Url, origin: str) -> Proxy:
    scheme = url.scheme.lower()
    if scheme not in _DEFAULT_PORTS or not url.has_hosts:
        raise ConfigError(f"{origin} {str(url)!r} is no HTTP proxy; it is written like http://proxy.internal:3128")
    try:
        parts = urlsplit(f"//{url.hosts}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or not host.isascii() or "," in host or url.path.strip("/") or url.query:
        raise ConfigError(
            f"{origin} {str(url)!r} is no address of a proxy; it is written like http://proxy.internal:3128"
        )
    bracketed = f"[{host}]" if ":" in host else host
    return Proxy(scheme, bracketed, port or _DEFAULT_PORTS[scheme], url.user, url.password)


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
