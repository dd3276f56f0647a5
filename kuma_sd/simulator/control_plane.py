"""A simulated control plane."""

import threading
from collections.abc import Callable
from typing import Generic, Self, TypeVar

import grpc

from kuma_sd.proto.discovery_pb2 import DiscoveryRequest
from kuma_sd.simulator.content import Content
from kuma_sd.simulator.formats import GrpcV1
from kuma_sd.simulator.grpc_server import GrpcServer
from kuma_sd.simulator.snapshots import SnapshotCache
from kuma_sd.simulator.traffic import Counts, Traffic

C = TypeVar("C", bound=Content)


class ControlPlane(Generic[C]):
    """Serves a world as a Kuma control plane does: MADS v1 over gRPC.

    It can be started and closed any number of times and comes back at the same port, with new version ids, like a
    control plane that is restarted. As a context manager it is started and closed.

    Args:
        world: what to serve: a `World`, a `GeneratedWorld` or a `Recording`.
        host: where to listen; an IPv6 address in brackets.
        port: where to listen; 0 lets the kernel choose.
        refresh: seconds from one look at the world to the next; changes in between come together. 1 as in Kuma; with 0
            a change is looked at before the call that made it returns.
    """

    def __init__(self, world: C, host: str = "127.0.0.1", port: int = 0, refresh: float = 1.0) -> None:
        self.world = world
        self._host = host
        self._port = port
        self._refresh = refresh
        self._traffic = Traffic()
        self._running: tuple[SnapshotCache, threading.Thread, GrpcServer] | None = None

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{self._host}:{self._port}"

    @property
    def url(self) -> str:
        """What to give to ``--cp-address``."""
        return f"grpc://{self.address}"

    @property
    def counts(self) -> Counts:
        """What has happened so far."""
        return self._traffic.counts

    @property
    def requests(self) -> list[DiscoveryRequest]:
        """The last 1,000 requests."""
        with self._traffic.changed:
            return list(self._traffic.requests)

    def start(self) -> str:
        """Encode the world and listen; returns host and port.

        Raises:
            ConfigError: it cannot listen there, or the world cannot be served.
        """
        format_ = GrpcV1()
        cache = SnapshotCache(self.world, [format_], self._refresh, self._traffic.changed)
        server = GrpcServer({format_.method: format_}, cache, self._traffic)
        try:
            self._port = server.start(self.address)
        except BaseException:
            cache.close()
            raise
        thread = threading.Thread(target=cache.run, name="simulator snapshots", daemon=True)
        thread.start()
        self._running = (cache, thread, server)
        return self.address

    def close(self) -> None:
        """Cut all connections and free the port; closing twice does no harm."""
        if self._running is None:
            return
        (cache, thread, server), self._running = self._running, None
        server.close()
        cache.close()
        thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def wait_for(self, condition: Callable[[Counts], bool], timeout: float = 10.0) -> Counts:
        """Wait until enough has happened.

        Args:
            condition: tells of counts whether they are as expected.
            timeout: the longest wait, in seconds.

        Raises:
            TimeoutError: they were not in time; the message shows them.
        """
        return self._traffic.wait_for(condition, timeout)

    def hold(self) -> None:
        """Answer nothing from now on, as a control plane that hangs; requests are still taken."""
        self._traffic.held = True

    def release(self) -> None:
        """Answer again, at once where an answer is due."""
        with self._traffic.changed:
            self._traffic.held = False
            self._traffic.changed.notify_all()

    def refuse(self, code: grpc.StatusCode | None, details: str = "") -> None:
        """End every new stream with this status; None accepts them again."""
        self._traffic.refusal = (code, details) if code else None

    def send(self, response: bytes) -> int:
        """Send these bytes as a response over every open stream, outside of the protocol's course.

        Returns:
            How many streams there were.
        """
        streams = self._running[2].streams if self._running else []
        for stream in streams:
            stream.inject(response)
        return len(streams)

    def end_streams(self, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE, details: str = "") -> int:
        """End every open stream with this status, and leave the connections.

        Returns:
            How many streams there were.
        """
        streams = self._running[2].streams if self._running else []
        for stream in streams:
            stream.end(code, details)
        return len(streams)
