"""The gRPC side of a simulated control plane."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
from google.protobuf.message import DecodeError

from kuma_sd.errors import ConfigError
from kuma_sd.proto.discovery_pb2 import DiscoveryRequest
from kuma_sd.simulator.formats import Format
from kuma_sd.simulator.snapshots import SnapshotCache
from kuma_sd.simulator.stream import Stream
from kuma_sd.simulator.traffic import Traffic

MOST_STREAMS = 1000
"""Each takes a thread."""

_OPTIONS = (
    # Else two could listen at one port and each get a share of the clients.
    ("grpc.so_reuseport", 0),
    # What Kuma does since 1.0.8: it pings every 15 s, and lets clients ping as often.
    ("grpc.keepalive_time_ms", 15_000),
    ("grpc.keepalive_timeout_ms", 15_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 15_000),
)


class GrpcServer(grpc.GenericRpcHandler):
    """Serves MADS streams; every other method is UNIMPLEMENTED, the unary ones with which old Kumas crash included.

    Args:
        formats: the protocols to speak, by method path.
        cache: has the snapshots.
        traffic: counts, and says what is refused.
    """

    def __init__(self, formats: dict[str, Format], cache: SnapshotCache, traffic: Traffic) -> None:
        self._formats = formats
        self._cache = cache
        self._traffic = traffic
        self._streams: set[Stream] = set()
        self._pool = ThreadPoolExecutor(MOST_STREAMS, thread_name_prefix="simulator stream")
        self._server = grpc.server(self._pool, handlers=[self], options=_OPTIONS)

    def start(self, address: str) -> int:
        """Listen; returns the port.

        Args:
            address: host and port; with port 0 the kernel chooses one.

        Raises:
            ConfigError: it cannot listen there.
        """
        try:
            port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise ConfigError(f"cannot listen at {address}: it is taken, or not an address of this machine") from error
        self._server.start()
        return port

    def close(self) -> None:
        """Cut all connections and free the port."""
        self._server.stop(None).wait()
        self._pool.shutdown()

    @property
    def streams(self) -> list[Stream]:
        """Those that are open."""
        with self._traffic.changed:
            return list(self._streams)

    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
        """Choose what answers a call."""
        format_ = self._formats.get(details.method)
        if format_ is None:
            return None

        def serve(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            return self._serve(Stream(format_, self._cache, self._traffic), requests, context)

        # Bytes both ways: responses are encoded already, and a deserializer that fails in gRPC can hang its stop().
        return grpc.stream_stream_rpc_method_handler(serve)

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
