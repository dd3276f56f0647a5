"""Choose the proxy for a server, for both HTTP and gRPC."""

import ipaddress
import os
import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote, urlsplit

import msgspec

from kuma_sd.core.errors import ConfigError
from kuma_sd.core.secret import NOTHING, Secret
from kuma_sd.core.url import Url, parse_url
from kuma_sd.http.address import Endpoint

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Proxy(msgspec.Struct, frozen=True):
    """An HTTP proxy. Its text form omits user and password.

    Args:
        scheme: ``http``, or ``https`` to connect to the proxy over TLS.
        host: its name or IP address, an IPv6 address in brackets.
        port: its port.
        user: the user name at the proxy; empty if it needs none.
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
        """Return the URL with user and password, the form that gRPC expects."""
        credentials = f"{quote(self.user, safe='')}:{quote(self.password.reveal(), safe='')}@" if self.user else ""
        return f"{self.scheme}://{credentials}{self.host}:{self.port}"


def proxy_for(endpoint: Endpoint, option: Url | None, environment: Mapping[str, str] = os.environ) -> Proxy | None:
    """Return the proxy to use; None for a direct connection.

    Args:
        endpoint: the server's address.
        option: the configured proxy, which is used for every server. If empty, the usual environment variables
            decide: http_proxy, https_proxy for TLS, and no_proxy; each also in capitals.
        environment: the environment variables.

    Raises:
        ConfigError: the value is not the URL of an HTTP proxy.
    """
    if option:
        return _proxy(option, "proxy")
    name = "https_proxy" if endpoint.tls else "http_proxy"
    text = _variable(name, environment)
    if not text or is_excepted(endpoint, _variable("no_proxy", environment)):
        return None
    origin = f"the environment's {name}"
    try:
        # The variables often omit the scheme.
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
    """Tell whether no_proxy matches a server.

    Items are separated by commas or spaces: ``*`` for all, a domain for itself and its subdomains (also with a leading
    ``.`` or ``*.``), an IP address, or a network like ``10.0.0.0/8``; each optionally with a port.
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
    """Yield the possible host and port of an item: a colon may belong to an IPv6 address."""
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
