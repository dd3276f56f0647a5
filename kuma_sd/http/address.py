"""Parse control plane addresses. Replicas are separated by commas and share scheme, path and user."""

from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote

from kuma_sd.core.errors import ConfigError
from kuma_sd.core.secret import NOTHING, Secret
from kuma_sd.core.url import Url, parse_url

MADS_PORT = 5676
"""Kuma's default MADS port."""

OPTION = "cp-address"
"""Name of the option that holds addresses."""

_DEFAULT_PORTS = {"grpc": MADS_PORT, "grpcs": MADS_PORT, "http": 80, "https": 443}


class Endpoint(NamedTuple):
    """The address of one server.

    Args:
        host: its name or IP address, an IPv6 address without brackets.
        port: its port.
        tls: whether the connection is encrypted.
        path: a gateway's path prefix, without a trailing slash.
    """

    host: str
    port: int
    tls: bool = False
    path: str = ""

    @property
    def authority(self) -> str:
        """``host:port``, as written in URLs."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def shown(self) -> str:
        """Host, port and path, as messages show them."""
        return f"{self.authority}{self.path}"

    def __str__(self) -> str:
        return self.shown + (" with TLS" if self.tls else "")

    def at(self, port: int, *, tls: bool) -> "Endpoint":
        """Return the endpoint for another port of the same host."""
        return self._replace(port=port, tls=tls, path="")


@dataclass(frozen=True)
class Address:
    """The replicas of one control plane, and the user to log in as.

    Args:
        replicas: the endpoint of each; only one of them is connected to at a time.
        user: ``user:password``, percent-decoded; empty if there is none.
    """

    replicas: tuple[Endpoint, ...]
    user: Secret = NOTHING


def parse_address(text: str) -> Address:
    """Parse an address like ``grpc://host-1:5676,host-2:5676`` or ``https://user:password@gateway/kuma``.

    Raises:
        ConfigError: the address is invalid; the message never quotes it, since it may hold a password.
    """
    try:
        return address_of(parse_url(text))
    except ValueError as error:
        raise ConfigError(f"the address {error}", option=OPTION) from None


def address_of(url: Url) -> Address:
    """Parse the URL of one endpoint.

    Raises:
        ConfigError: the URL is invalid; the message quotes no possible secret.
    """
    if url.scheme not in _DEFAULT_PORTS or not url.hosts:
        raise ConfigError("the address is not of the form grpc://host:5676", option=OPTION)
    if url.query:
        raise ConfigError("the address may not hold a query", option=OPTION)
    if url.path.startswith("//") and url.hosts.endswith(":"):
        raise ConfigError(
            "the address holds a URL after a comma; replicas are written host:port, like "
            f"{url.scheme}://host-1:5676,host-2:5676",
            option=OPTION,
        )
    try:
        servers = url.servers(_DEFAULT_PORTS[url.scheme])
    except ValueError as error:
        raise ConfigError(f"the address {error}; write it like grpc://host:5676", option=OPTION) from None
    tls, prefix = url.scheme in ("grpcs", "https"), url.path.rstrip("/")
    replicas = [Endpoint(host, port, tls, prefix) for host, port in servers]
    return Address(tuple(replicas), Secret(unquote(url.user_info.reveal())))
