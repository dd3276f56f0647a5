"""Addresses of control planes, as URLs. Scheme, path and user hold for all replicas, which stand behind commas."""

from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from kuma_sd.core.errors import ConfigError
from kuma_sd.core.text import masked

MADS_PORT = 5676
"""Where Kuma serves MADS unless told otherwise."""

_DEFAULT_PORTS = {"grpc": MADS_PORT, "grpcs": MADS_PORT, "http": 80, "https": 443}


class Endpoint(NamedTuple):
    """Where one server may speak MADS.

    Args:
        host: its name or IP address, an IPv6 address without brackets.
        port: its port.
        tls: whether the connection is encrypted.
        path: what stands before the paths of MADS, behind a gateway; without a slash at the end.
    """

    host: str
    port: int
    tls: bool = False
    path: str = ""

    @property
    def authority(self) -> str:
        """``host:port``, as in URLs."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.authority}{self.path}" + (" with TLS" if self.tls else "")

    def at(self, port: int, *, tls: bool) -> "Endpoint":
        """Return another port of the same host."""
        return self._replace(port=port, tls=tls, path="")


@dataclass(frozen=True)
class Address:
    """The replicas of one control plane, and the user to log in as.

    Args:
        replicas: where each listens; one connection is made, to one of them.
        user: ``user:password`` of the URL; empty when it has none. Never shown.
    """

    replicas: tuple[Endpoint, ...]
    user: str = ""


def parse_address(text: str) -> Address:
    """Read an address like ``grpc://host-1:5676,host-2:5676`` or ``https://user:password@gateway/kuma``.

    Raises:
        ConfigError: it is no such address.
    """
    # Split by hand: urlsplit takes several hosts for one that is wrong.
    scheme, _, rest = text.partition("://")
    netloc, _, path = rest.partition("/")
    if scheme not in _DEFAULT_PORTS or not netloc:
        raise ConfigError(f"the address {masked(text)!r} is not of the form grpc://host:5676")
    if "?" in rest or "#" in rest:
        raise ConfigError(f"the address {masked(text)!r} may not hold a query or a fragment")
    user, _, hosts = netloc.rpartition("@")
    tls, prefix = scheme in ("grpcs", "https"), f"/{path}".rstrip("/")
    replicas = []
    if "://" in rest:
        raise ConfigError(
            f"the address {masked(text)!r} holds a URL after a comma; replicas are written host:port, like "
            f"{scheme}://host-1:5676,host-2:5676"
        )
    for part in hosts.split(","):
        host, port = _host_and_port(part, text)
        replicas.append(Endpoint(host, port or _DEFAULT_PORTS[scheme], tls, prefix))
    return Address(tuple(replicas), unquote(user))


def _host_and_port(part: str, text: str) -> tuple[str, int | None]:
    try:
        url = urlsplit(f"//{part}")
        host, port = url.hostname, url.port
    except ValueError as error:
        raise ConfigError(f"the address {masked(text)!r} is not a URL: {error}") from error
    if not host:
        raise ConfigError(f"the address {masked(text)!r} names no host")
    if not host.isascii():
        raise ConfigError(f"the address {masked(text)!r} has a host that is not ASCII{_in_ascii(host)}")
    return host, port


def _in_ascii(host: str) -> str:
    """Return the end of a message that says how a host name is written for the DNS."""
    try:
        return f"; write {host.encode('idna').decode()}"
    except UnicodeError:
        return ""
