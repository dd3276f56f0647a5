"""Where MADS is, when the address is that of the control plane's API server."""

import msgspec

from kuma_sd.core.errors import ConfigError, SourceError
from kuma_sd.http.address import MADS_PORT, Endpoint, parse_address
from kuma_sd.http.client import HttpClient

TIMEOUT = 10.0

_LOCAL = ("localhost", "127.0.0.1", "::1")


class _Api(msgspec.Struct):
    url: str = ""


class _Apis(msgspec.Struct):
    mads: _Api = msgspec.field(default_factory=_Api, name="monitoringAssignment")


class _Catalog(msgspec.Struct):
    apis: _Apis = msgspec.field(default_factory=_Apis)


def mads_of(api_server: Endpoint, client: HttpClient, *, allow_plaintext: bool) -> list[Endpoint]:
    """Return where MADS may be served, given the address of an API server.

    Kuma 0.3.2 to 0.7.3 says it in ``/catalog``; later ones serve it on the same host at its usual port.

    Args:
        api_server: the address given.
        client: asks it.
        allow_plaintext: whether an encrypted address may lead to a plaintext one.

    Raises:
        SourceError: only plaintext leads on, and that is not allowed.
    """
    advertised = _advertised(api_server, client)
    if advertised and api_server.tls and not advertised.tls and not allow_plaintext:
        raise SourceError(
            f"{api_server} serves MADS at {advertised} and without TLS, as all Kuma before 2.0; "
            "to go there, set allow-plaintext or give an http address"
        )
    if advertised:
        return [advertised]
    encryptions = (True, False) if api_server.tls and allow_plaintext else (api_server.tls,)
    return [api_server.at(MADS_PORT, tls=tls) for tls in encryptions]


def _advertised(api_server: Endpoint, client: HttpClient) -> Endpoint | None:
    try:
        answer = client.ask("GET", "/catalog", body=None, timeout=TIMEOUT)
        if answer.status != 200:  # noqa: PLR2004 (OK)
            return None
        url = msgspec.json.decode(answer.body, type=_Catalog).apis.mads.url
        endpoint = parse_address(url).replicas[0] if url else None
    except (SourceError, ConfigError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if endpoint and endpoint.host in _LOCAL:
        # What it says when nobody told it its name; true for itself only.
        return Endpoint(api_server.host, endpoint.port, endpoint.tls)
    return endpoint
