"""Serve MADS and the API like a control plane of Kuma."""

import socket
import ssl
import threading
from collections.abc import Callable, Collection
from typing import Generic, NamedTuple, Self, TypeVar

import grpc

from kuma_sd.core.errors import ConfigError
from kuma_sd.proto.discovery_pb2 import DiscoveryRequest
from kuma_sd.simulator.api.answers import ApiAnswers
from kuma_sd.simulator.api_server import ApiServer
from kuma_sd.simulator.content import Content
from kuma_sd.simulator.encoders import GrpcEncoder, HttpV1, formats_of
from kuma_sd.simulator.grpc_server import GrpcServer
from kuma_sd.simulator.http_server import serve
from kuma_sd.simulator.kuma_versions import EVERYTHING, KumaVersion
from kuma_sd.simulator.long_poll import LongPollServer
from kuma_sd.simulator.port_mux import PortMux, Serve, relay
from kuma_sd.simulator.snapshots import SnapshotCache
from kuma_sd.simulator.stream import Stream
from kuma_sd.simulator.traffic import Traffic, TrafficCounts
from kuma_sd.simulator.world import World

C = TypeVar("C", bound=Content)


class _Running(NamedTuple):
    """The objects that exist between start() and close()."""

    cache: SnapshotCache
    grpc: GrpcServer | None
    splitter: PortMux
    threads: tuple[threading.Thread, threading.Thread]


class SimulatedControlPlane(Generic[C]):
    """Serves a world as a Kuma control plane does.

    It can be closed and started again: it returns at the same port with new version ids, like a restarted control
    plane. As a context manager it is started and closed.

    Args:
        world: the content to serve: a `World`, a `GeneratedWorld` or a `Recording`, which limits the protocols to the
            recorded ones.
        host: the host to listen at; an IPv6 address in brackets.
        port: the port to listen at; 0 lets the kernel choose.
        refresh: the seconds between two snapshots of the world; changes in between are batched. 1 as in Kuma; with 0,
            the snapshot is taken before the call that changed the world returns.
        line: the Kuma version to simulate; see `kuma`. By default all versions of MADS over all transports.
        tls: the certificate, to serve MADS over TLS; None for plain text.
        api: the API server, which is started and closed with this control plane.
        stale: whether the first gRPC stream after a time without streams begins with the set of that time, as in Kuma
            before 2.6.
    """

    def __init__(  # noqa: PLR0913 (all but the first have a default)
        self,
        world: C,
        host: str = "127.0.0.1",
        port: int = 0,
        refresh: float = 1.0,
        *,
        line: KumaVersion = EVERYTHING,
        tls: ssl.SSLContext | None = None,
        api: ApiServer | None = None,
        stale: bool = False,
    ) -> None:
        if tls and not line.tls:
            raise ConfigError("MADS has TLS since Kuma 2.0 only: choose such a version, or leave the certificate out")
        if api and not api.has_mads and not line.mads_switch:
            raise ConfigError("MADS can be switched off since Kuma 2.14 only: choose such a version")
        self.world = world
        self.line = line
        self.api = api
        self.has_mads = api is None or (
            api.has_mads and not api.zones and (line.mads_on_kubernetes or not api.kubernetes)
        )
        """Whether MADS is served; a global control plane has none, nor has Kuma 3 on Kubernetes."""
        self._host = host
        self._port = port
        self._refresh = refresh
        self._tls = tls
        self._stale = stale and line.stale
        self._traffic = Traffic()
        self._running: _Running | None = None

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{self._host}:{self._port}"

    @property
    def url(self) -> str:
        """The value for ``--cp-address``."""
        if self.api and not self.has_mads:
            return f"kuma-api+{self.api.url}"
        return f"{'grpc' if self.line.grpc else 'http'}{'s' if self._tls else ''}://{self.address}"

    @property
    def counts(self) -> TrafficCounts:
        """The traffic so far."""
        return self._traffic.counts

    @property
    def requests(self) -> list[DiscoveryRequest]:
        """The last 1,000 requests."""
        with self._traffic.changed:
            return list(self._traffic.requests)

    def start(self) -> str:
        """Start listening; returns host and port.

        Raises:
            ConfigError: it cannot listen there, or the world cannot be served.
        """
        if self.has_mads:
            self._start_mads()
        if self.api:
            lists = None
            if isinstance(self.world, World):
                lists = ApiAnswers(
                    self.world, self.line, self._named_clients, kubernetes=self.api.kubernetes, zones=self.api.zones
                )
            try:
                self.api.start(self.line, self._port, self.world.catalog, lists, mads_tls=self._tls is not None)
            except BaseException:
                self.close()
                raise
        return self.address if self.has_mads or not self.api else self.api.address

    def _start_mads(self) -> None:
        formats = self.world.offered(formats_of(self.line))
        cache = SnapshotCache(self.world, self._refresh, self._traffic.changed)
        streams = [format_ for format_ in formats.values() if isinstance(format_, GrpcEncoder)]
        server = GrpcServer(streams, cache, self._traffic, self.line, stale=self._stale) if streams else None
        http = formats.get(HttpV1.transport)
        poll = LongPollServer(http, cache, self._traffic, self.line) if isinstance(http, HttpV1) else None
        splitter = PortMux(_relay_to(server), self._http(poll), self._tls)
        try:
            self._port = splitter.start(self.address)
        except BaseException:
            cache.close()
            raise
        if server:
            server.start()
        runs = {"simulator snapshots": cache.run, "simulator port": splitter.run}
        snapshots, port = (threading.Thread(target=run, name=name, daemon=True) for name, run in runs.items())
        snapshots.start()
        port.start()
        self._running = _Running(cache, server, splitter, (snapshots, port))

    def close(self) -> None:
        """Cut all connections and free the port; closing twice does no harm."""
        if self.api:
            self.api.close()
        if self._running is None:
            return
        running = self._running
        self._running = None
        running.cache.close()
        running.splitter.close()
        if running.grpc:
            running.grpc.close()
        for thread in running.threads:
            thread.join()

    def _named_clients(self) -> Collection[str]:
        return self._traffic.clients or ()

    def _http(self, poll: LongPollServer | None) -> Serve | None:
        if poll is None:
            return None

        def follow(connection: socket.socket) -> None:
            self._traffic.count(connections=1)
            try:
                serve(connection, poll)
            finally:
                self._traffic.count(connections=-1)

        return follow

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def wait_for(self, condition: Callable[[TrafficCounts], bool], timeout: float = 10.0) -> TrafficCounts:
        """Wait until the traffic counts fulfil a condition.

        Args:
            condition: returns whether the counts are as expected.
            timeout: the maximum wait, in seconds.

        Raises:
            TimeoutError: the condition was not fulfilled in time; the message shows the counts.
        """
        return self._traffic.wait_for(condition, timeout)

    def hold(self) -> None:
        """Stop responding, like a control plane that hangs; requests are still accepted."""
        self._traffic.held = True

    def release(self) -> None:
        """Respond again, immediately where a response is due."""
        with self._traffic.changed:
            self._traffic.held = False
            self._traffic.changed.notify_all()

    def refuse(self, code: grpc.StatusCode | None, details: str = "") -> None:
        """Refuse new streams with this gRPC status, and HTTP requests with its equivalent; None accepts them again."""
        self._traffic.refusal = (code, details) if code else None

    def serve_only(self, *clients: str) -> None:
        """Serve MeshMetrics that name only these clients; without a name, one MeshMetric for all clients.

        What other clients get depends on the version of Kuma; before 2.6 it is everything.
        """
        self._traffic.clients = frozenset(clients) or None

    def send(self, response: bytes) -> int:
        """Send bytes as a response over every open stream, outside the normal protocol.

        Returns:
            The number of streams.
        """
        streams = self._streams
        for stream in streams:
            stream.inject(response)
        return len(streams)

    def end_streams(self, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE, details: str = "") -> int:
        """End every open stream with a status, and leave the connections open.

        Returns:
            The number of streams.
        """
        streams = self._streams
        for stream in streams:
            stream.end(code, details)
        return len(streams)

    @property
    def _streams(self) -> list[Stream]:
        server = self._running.grpc if self._running else None
        return server.streams if server else []


def _relay_to(server: GrpcServer | None) -> Serve | None:
    if server is None:
        return None

    def serve(client: socket.socket) -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            # An abstract address.
            connection.connect(f"\0{server.address}")
            relay(client, connection)

    return serve
