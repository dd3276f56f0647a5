"""Serve MADS over gRPC."""

import threading
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
from google.protobuf.message import DecodeError

from kuma_sd.proto.discovery_pb2 import DiscoveryRequest
from kuma_sd.simulator.encoders import GrpcEncoder
from kuma_sd.simulator.kuma_versions import KumaVersion, Strangers
from kuma_sd.simulator.snapshots import SnapshotCache, XdsSnapshot
from kuma_sd.simulator.stream import Stream
from kuma_sd.simulator.traffic import Traffic

MOST_STREAMS = 1000
"""Maximum number of streams; each takes a thread."""

_OPTIONS = (
    # As Kuma since 1.0.8: it pings every 15 s, and allows clients to ping as often.
    ("grpc.keepalive_time_ms", 15_000),
    ("grpc.keepalive_timeout_ms", 15_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 15_000),
)


class GrpcServer(grpc.GenericRpcHandler):
    """Serves MADS streams; every other method is UNIMPLEMENTED, even the unary ones that crash old versions of Kuma.

    It listens at an abstract Unix socket, to which connections are relayed, since gRPC cannot take over accepted ones.

    Args:
        encoders: the protocols to speak.
        cache: holds the snapshots.
        traffic: counts the traffic, and decides what is refused.
        line: the Kuma version to simulate.
        stale: whether the first stream after a time without streams begins with the set of that time.
    """

    def __init__(
        self, encoders: Iterable[GrpcEncoder], cache: SnapshotCache, traffic: Traffic, line: KumaVersion, *, stale: bool
    ) -> None:
        self._encoders = {encoder.method: encoder for encoder in encoders}
        self._cache = cache
        self._traffic = traffic
        self._groups = line.strangers is not Strangers.ALL
        self._stale = stale
        self._left: XdsSnapshot | None = None
        self._streams: set[Stream] = set()
        self._pool = ThreadPoolExecutor(MOST_STREAMS, thread_name_prefix="simulator stream")
        self._server = grpc.server(self._pool, handlers=[self], options=_OPTIONS)
        self.address = f"kuma-sd-simulator-{uuid.uuid4()}"

    def start(self) -> None:
        """Listen at `address`."""
        self._server.add_insecure_port(f"unix-abstract:{self.address}")
        self._server.start()

    def close(self) -> None:
        """Cut all connections."""
        self._server.stop(None).wait()
        self._pool.shutdown()

    @property
    def streams(self) -> list[Stream]:
        """The open streams."""
        with self._traffic.changed:
            return list(self._streams)

    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes]":
        """Return the handler of a call."""
        encoder = self._encoders.get(details.method)

        def serve(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            if encoder is None:
                return self._refuse(details.method, context)
            return self._serve(self._stream(encoder), requests, context)

        # Bytes both ways: responses are encoded already, and a deserializer that fails in gRPC can hang its stop().
        return grpc.stream_stream_rpc_method_handler(serve)

    def _refuse(self, path: str, context: grpc.ServicerContext) -> Iterator[bytes]:
        service, _, method = path.removeprefix("/").partition("/")
        is_known = any(known.startswith(f"/{service}/") for known in self._encoders)
        context.set_code(grpc.StatusCode.UNIMPLEMENTED)
        # In the words of grpc-go.
        context.set_details(
            f"unknown method {method} for service {service}" if is_known else f"unknown service {service}"
        )
        return iter(())

    def _stream(self, encoder: GrpcEncoder) -> Stream:
        self._cache.use(encoder)
        with self._traffic.changed:
            stale = self._left if self._stale and not self._streams else None
            return Stream(encoder, self._cache, self._traffic, stale, groups=self._groups)

    def _serve(self, stream: Stream, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        self._traffic.count(streams=1, open=1)
        with self._traffic.changed:
            self._streams.add(stream)
            if self._traffic.refusal:
                stream.end(*self._traffic.refusal)
        try:
            if context.add_callback(stream.end):
                reader = threading.Thread(
                    target=_receive, args=(requests, stream), name="simulator requests", daemon=True
                )
                reader.start()
                yield from stream
            context.set_code(stream.status[0])
            context.set_details(stream.status[1])
        finally:
            with self._traffic.changed:
                self._streams.discard(stream)
                self._left = self._cache.snapshot
            self._traffic.count(open=-1)


def _receive(requests: Iterator[bytes], stream: Stream) -> None:
    try:
        for request in requests:
            stream.receive(DiscoveryRequest.FromString(request))
    except grpc.RpcError:
        pass  # the connection is gone
    except DecodeError:
        stream.end(grpc.StatusCode.INTERNAL, "not a DiscoveryRequest")
    finally:
        stream.end()
