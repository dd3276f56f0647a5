"""A gRPC server of MADS v1 streams that answers as told, for what no Kuma does when it is well."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc

from kuma_sd.mads.codecs.v1 import TYPE_URL
from kuma_sd.proto.discovery_pb2 import DiscoveryResponse

Answer = Callable[[Iterator[bytes], grpc.ServicerContext], Iterable[bytes]]


@contextmanager
def mads_streams(answer: Answer, port: int = 0) -> Iterator[str]:
    """Serve streams, each as told, at this port or any; yields host and port."""
    method: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(answer)
    handler = grpc.method_handlers_generic_handler(
        "kuma.observability.v1.MonitoringAssignmentDiscoveryService", {"StreamMonitoringAssignments": method}
    )
    server = grpc.server(ThreadPoolExecutor(4), handlers=[handler])
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(grace=None).wait(5)


def response(version: str = "1", type_url: str = TYPE_URL) -> bytes:
    """Return a response without any assignment."""
    return DiscoveryResponse(version_info=version, type_url=type_url, nonce="1").SerializeToString()


def silent(requests: Iterator[bytes], _context: grpc.ServicerContext) -> Iterator[bytes]:
    """Take requests and never answer, as a control plane that has locked up."""
    for _ in requests:
        pass
    yield from ()


def once(requests: Iterator[bytes], _context: grpc.ServicerContext) -> Iterator[bytes]:
    """Answer the first request."""
    next(requests)
    yield response()
    for _ in requests:
        pass
