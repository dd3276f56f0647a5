"""Find MADS through a control plane's API server, when the configured address is that of the API server."""

import ipaddress
import socket
from typing import TypeVar

import msgspec

from kuma_sd.core.decoding_errors import UNREADABLE
from kuma_sd.core.errors import ConfigError, SourceError
from kuma_sd.core.response_descriptions import version_shown
from kuma_sd.http.address import MADS_PORT, Endpoint, parse_address
from kuma_sd.http.client import HttpClient

T = TypeVar("T", bound=msgspec.Struct)

TIMEOUT = 5.0
"""Timeout of each request, in seconds."""

_KUMA_3 = 3


class _Api(msgspec.Struct):
    url: str = ""


class _Apis(msgspec.Struct):
    mads: _Api = msgspec.field(default_factory=_Api, name="monitoringAssignment")


class _Catalog(msgspec.Struct):
    apis: _Apis = msgspec.field(default_factory=_Apis)


class _MadsServer(msgspec.Struct):
    port: int = MADS_PORT
    enabled: bool = True
    tls: bool = msgspec.field(default=False, name="tlsEnabled")


class _Config(msgspec.Struct):
    mode: str = ""
    environment: str = ""
    mads: _MadsServer = msgspec.field(default_factory=_MadsServer, name="monitoringAssignmentServer")


class _Index(msgspec.Struct):
    tagline: str = ""
    version: str = ""


class _Meshes(msgspec.Struct):
    total: int


def mads_of(api_server: Endpoint, client: HttpClient, *, allow_plaintext: bool) -> Endpoint | None:
    """Return the MADS endpoint from ``/catalog`` (Kuma 0.3.2 to 0.7.3); None if there is no API server.

    Nothing else may lead to another host or port: another control plane might respond there.

    Args:
        api_server: the configured endpoint.
        client: the HTTP client for it.
        allow_plaintext: whether an encrypted address may lead to a plaintext one.

    Raises:
        SourceError: MADS is served in plaintext only, which is not allowed; or the API server is of a version whose
            MADS address must be configured, or that serves no MADS.
    """
    catalog = _ask(client, "/catalog", _Catalog)
    advertised = _endpoint(catalog.apis.mads.url, api_server) if catalog else None
    if advertised and api_server.tls and not advertised.tls and not allow_plaintext:
        raise SourceError(
            f"{api_server} serves MADS at {advertised} and without TLS, as all Kuma before 2.0; "
            "to go there, set allow-plaintext or give an http address"
        )
    if not advertised and (hint := _hint(api_server, client)):
        raise SourceError(f"no MADS at {api_server}: {hint}")
    return advertised


def _endpoint(url: str, api_server: Endpoint) -> Endpoint | None:
    try:
        endpoint = parse_address(url).replicas[0]
    except ConfigError:
        return None
    # Kuma says localhost when its host name is not configured.
    if endpoint.host.lower() == api_server.host.lower() or _is_of_its_own(endpoint.host):
        return api_server.at(endpoint.port, tls=endpoint.tls)
    return _Advertised(endpoint.host, endpoint.port, endpoint.tls)


class _Advertised(Endpoint):
    """The endpoint that a ``/catalog`` names. The name of its host is not shown: it may be made of a credential."""

    __slots__ = ()

    @property
    def shown(self) -> str:
        """The port, and the host if it is an IP address."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return f"(the host in its /catalog):{self.port}"
        return self.authority


def _is_of_its_own(host: str) -> bool:
    """Tell whether a host is another one for each machine that asks.

    A control plane must not lead to what only kuma-sd's machine can reach, like a cloud's metadata.
    """
    try:
        # As the C library reads numbers, in all their forms.
        address = ipaddress.ip_address(host if ":" in host else socket.inet_aton(host))
    except (ValueError, OSError):
        return host.rstrip(".").lower() == "localhost" or host.rstrip(".").lower().endswith(".localhost")
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_link_local or address.is_unspecified


def _hint(api_server: Endpoint, client: HttpClient) -> str:
    """Describe the API server and which address to configure; empty if it is not an API server."""
    index, config = _ask(client, "/", _Index) or _Index(), _ask(client, "/config", _Config) or _Config()
    if not (index.version or config.mode or _ask(client, "/meshes", _Meshes)):
        return ""
    version = version_shown(index.version)
    what = f"that is the API server of {f'Kuma {version}' if version else 'a control plane'}"
    through_api = f"get the targets from the API, with kuma-api+http{'s' * api_server.tls}://{api_server.authority}"
    if config.mode == "global":
        return f"{what}, a global control plane, which has none: give the zones' control planes, or {through_api}"
    if not config.mads.enabled:
        return (
            f"{what}, where it is switched off (KUMA_MONITORING_ASSIGNMENT_SERVER_ENABLED): enable it, or {through_api}"
        )
    if config.environment == "kubernetes" and _major(index.version) >= _KUMA_3:
        return f"{what} on Kubernetes, where Kuma 3 has none: {through_api}"
    mads = api_server.at(config.mads.port or MADS_PORT, tls=config.mads.tls)
    # Without /config it may be a global control plane.
    unless = "" if config.mode else ", unless it is a global control plane, which has none"
    usual = f"http{'s' * mads.tls}://{mads.authority}"
    return f"{what}, whose MADS is usually at {usual}{unless}: use that, or {through_api}"


def _major(version: str) -> int:
    number = version.partition(".")[0]
    return int(number) if number.isascii() and number.isdecimal() else 0


def _ask(client: HttpClient, path: str, kind: type[T]) -> T | None:
    """Return the JSON of a successful response, otherwise None."""
    try:
        answer = client.ask("GET", path, timeout=TIMEOUT)
        return msgspec.json.decode(answer.body, type=kind) if answer.status == 200 else None  # noqa: PLR2004 (OK)
    except (SourceError, *UNREADABLE):
        return None
