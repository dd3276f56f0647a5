"""The MADS protocols, and which of them an endpoint supports."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from kuma_sd.http.address import Endpoint
from kuma_sd.http.proxies import proxy_for
from kuma_sd.http.tls_and_credentials import Access
from kuma_sd.mads.decoder import MadsResponse
from kuma_sd.mads.plugin import MadsOptions


class Closable(Protocol):
    """An object whose blocking call can be ended from another thread."""

    def close(self) -> None:
        """End a blocking call immediately, from another thread."""


class Connection(Closable, Protocol):
    """A connection over one protocol."""

    @property
    def next_within(self) -> float:
        """Timeout of the next response, in seconds; infinite if responses arrive only on changes."""

    def __iter__(self) -> Iterator[MadsResponse | None]:
        """Yield each response; None means that the server responded and nothing changed."""


Connect = Callable[[Endpoint, MadsOptions, Access, float], Connection]
"""Creates a connection, which opens when it is iterated. The number is the timeout of the first response in seconds."""


def _grpc_v1(endpoint: Endpoint, options: MadsOptions, access: Access, patience: float) -> Connection:
    # Libraries are imported when first needed, so that HTTP-only use does not load gRPC.
    from kuma_sd.mads.grpc_stream import V1, GrpcStream  # noqa: PLC0415

    return GrpcStream(endpoint, V1, options, access, patience)


def _grpc_v1alpha1(endpoint: Endpoint, options: MadsOptions, access: Access, patience: float) -> Connection:
    from kuma_sd.mads.grpc_stream import V1ALPHA1, GrpcStream  # noqa: PLC0415

    return GrpcStream(endpoint, V1ALPHA1, options, access, patience)


def _http_v1(endpoint: Endpoint, options: MadsOptions, access: Access, patience: float) -> Connection:
    from kuma_sd.http.client import HttpClient  # noqa: PLC0415
    from kuma_sd.mads.http_long_poll import LongPoll  # noqa: PLC0415

    return LongPoll(HttpClient(endpoint, options, access), options.name, options.fetch_timeout, patience)


class MadsProtocol(NamedTuple):
    """A version of MADS over a transport.

    Args:
        title: its name in logs and status.
        transport: ``grpc`` or ``http``.
        version: ``v1`` or ``v1alpha1``.
        connect: creates a connection.
    """

    title: str
    transport: str
    version: str
    connect: Connect


GRPC_V1 = MadsProtocol("v1 gRPC", "grpc", "v1", _grpc_v1)
GRPC_V1ALPHA1 = MadsProtocol("v1alpha1 gRPC", "grpc", "v1alpha1", _grpc_v1alpha1)
HTTP_V1 = MadsProtocol("v1 HTTP", "http", "v1", _http_v1)


def allowed(endpoint: Endpoint, options: MadsOptions) -> Sequence[MadsProtocol]:
    """Return the protocols that an endpoint allows, in the order in which they are tried."""
    protocols = [
        protocol
        for protocol in (GRPC_V1, GRPC_V1ALPHA1, HTTP_V1)
        if options.transport in ("auto", protocol.transport) and options.api_version in ("auto", protocol.version)
    ]
    return protocols if not not_over_grpc(endpoint, options) else [p for p in protocols if p.transport != "grpc"]


def not_over_grpc(endpoint: Endpoint, options: MadsOptions) -> str:
    """Return why gRPC cannot be used at an endpoint; empty if it can."""
    if endpoint.path:
        # gRPC has no path prefix, which gateways need.
        return "a path in cp-address"
    if endpoint.tls and options.tls_insecure_skip_verify:
        return "tls-insecure-skip-verify"
    for header in options.header:
        if not _is_metadata(header.name):
            return f"the header {header.name}"
    proxy = proxy_for(endpoint, options.proxy)
    return "a proxy with TLS" if proxy and proxy.scheme == "https" else ""


def _is_metadata(name: str) -> bool:
    # gRPC allows fewer characters, and treats names that end in -bin as binary (PROTOCOL-HTTP2.md, Custom-Metadata).
    return all(character.isalnum() or character in "-_." for character in name) and not name.lower().endswith("-bin")
