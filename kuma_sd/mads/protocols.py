"""The protocols that MADS has been served over, and which of them can be spoken where."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from kuma_sd.http.address import Endpoint
from kuma_sd.http.credentials import Access
from kuma_sd.http.proxies import proxy_for
from kuma_sd.mads.decoder import MadsResponse
from kuma_sd.mads.plugin import MadsOptions


class Closable(Protocol):
    """What may block, and can be cut."""

    def close(self) -> None:
        """End what blocks from another thread, at once."""


class Connection(Closable, Protocol):
    """A connection over one protocol."""

    @property
    def next_within(self) -> float:
        """How long the next answer may take, in seconds; infinity where silence says nothing."""

    def __iter__(self) -> Iterator[MadsResponse | None]:
        """Yield each response; None says that the server answered and nothing is new."""


Connect = Callable[[Endpoint, MadsOptions, Access, float], Connection]
"""Makes a connection, which is opened when it is iterated; the number is how long the first answer may take."""


def _grpc_v1(endpoint: Endpoint, options: MadsOptions, access: Access, patience: float) -> Connection:
    # Each library is loaded when it is needed first: whoever has a Kuma with HTTP only never pays for gRPC twice.
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
        title: what it is called in the log.
        transport: ``grpc`` or ``http``.
        version: ``v1`` or ``v1alpha1``.
        connect: makes a connection.
    """

    title: str
    transport: str
    version: str
    connect: Connect


GRPC_V1 = MadsProtocol("v1 gRPC", "grpc", "v1", _grpc_v1)
GRPC_V1ALPHA1 = MadsProtocol("v1alpha1 gRPC", "grpc", "v1alpha1", _grpc_v1alpha1)
HTTP_V1 = MadsProtocol("v1 HTTP", "http", "v1", _http_v1)


def allowed(endpoint: Endpoint, options: MadsOptions) -> Sequence[MadsProtocol]:
    """Return what may be spoken at an endpoint, in the order in which it is tried."""
    protocols = [
        protocol
        for protocol in (GRPC_V1, GRPC_V1ALPHA1, HTTP_V1)
        if options.transport in ("auto", protocol.transport) and options.api_version in ("auto", protocol.version)
    ]
    return protocols if not not_over_grpc(endpoint, options) else [p for p in protocols if p.transport != "grpc"]


def not_over_grpc(endpoint: Endpoint, options: MadsOptions) -> str:
    """Return what keeps gRPC from being used at an endpoint; empty if nothing does."""
    if endpoint.path:
        # gRPC has no place for a path, which gateways need.
        return "a path in cp-address"
    if endpoint.tls and options.tls_insecure_skip_verify:
        return "tls-insecure-skip-verify"
    for header in options.header:
        if not _is_metadata(header.name):
            return f"the header {header.name}"
    proxy = proxy_for(endpoint, options.proxy)
    return "a proxy that is spoken to over TLS" if proxy and proxy.scheme == "https" else ""


def _is_metadata(name: str) -> bool:
    # gRPC takes fewer characters, and takes what ends in -bin for bytes (PROTOCOL-HTTP2.md, Custom-Metadata).
    return all(character.isalnum() or character in "-_." for character in name) and not name.lower().endswith("-bin")
