"""Serve a bound socket, so that no client delays others.

One thread accepts, receives and sends, and never blocks. Complete requests are answered in other threads, which never
wait for a client. So a slow client occupies only a table entry, and the number of entries is limited.
"""

import contextlib
import math
import selectors
import socket
import ssl
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from kuma_sd.core.logger import Logger
from kuma_sd.web.paths import Lane
from kuma_sd.web.server.connection import PIECE, Connection, ConnectionEndedError
from kuma_sd.web.server.exchange import CutError, Exchange, Sending
from kuma_sd.web.server.limits import ConnectionLimits, client_of, who_gives_way
from kuma_sd.web.server.tls import ServerContext
from kuma_sd.web.server.workers import Lanes

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

_log = Logger(__name__)

ACCEPTED_AT_ONCE = 64
"""Number of new connections accepted before existing ones are served."""

SWITCH_INTERVAL = 0.0005
"""Interpreter switch interval, in seconds. Each socket call gives up the interpreter: with Python's default of 5 ms
this thread makes 200 calls a second while another thread computes."""

PAUSE = 0.1
"""Pause of accepting when file descriptors run out, in seconds."""

Made = tuple[Connection, Exchange, Sending | None]
"""The next part of a connection's response; None if the response cannot be finished."""


class Serving:
    """Serves an application on a socket until closed.

    Args:
        bound: a listening socket; closed at the end.
        application: the WSGI application; called in several threads.
        limits: the limits of clients.
        tls: returns the TLS context of new clients; None for plain HTTP.
        lane_of: returns the lane of requests for a path; those of one lane never wait for those of another.
    """

    def __init__(
        self,
        bound: socket.socket,
        application: "WSGIApplication",
        limits: ConnectionLimits | None = None,
        tls: Callable[[], ServerContext | None] = lambda: None,
        lane_of: Callable[[str], Lane] = lambda _path: Lane.STATUS,
    ) -> None:
        self.socket = bound
        self._application = application
        self._limits = limits or ConnectionLimits()
        self._tls = tls
        self._lane_of = lane_of
        self._connections: set[Connection] = set()
        self._made: deque[Made] = deque()
        self._closing = threading.Event()
        self._waking: socket.socket | None = None
        self._accepts_again = self._looks_again = math.inf
        self._tick = min(0.25, self._limits.request / 4, self._limits.silence / 4, self._limits.answer / 4)

    def run(self) -> None:
        """Serve until closed."""
        self._waking, self._woken = socket.socketpair()
        sys.setswitchinterval(SWITCH_INTERVAL)
        self._lanes = Lanes(threading.current_thread().name, self._limits.threads)
        self._selector = selectors.DefaultSelector()
        self._woken.setblocking(False)  # noqa: FBT003 (its only argument)
        self.socket.setblocking(False)  # noqa: FBT003 (its only argument)
        self._selector.register(self.socket, selectors.EVENT_READ, self._accept)
        self._selector.register(self._woken, selectors.EVENT_READ, self._take_made)
        self._lanes.start()
        try:
            while not self._closing.is_set():
                self._turn()
        finally:
            self._end()

    def close(self) -> None:
        """End run(), from any thread."""
        self._closing.set()
        self._wake_up()

    def _turn(self) -> None:
        events = self._selector.select(self._seconds_without_events())
        # Accept last: a request that has arrived is read before its connection could give way to a new one.
        for key, _ in sorted(events, key=lambda event: event[0].fileobj is self.socket):
            key.data()
        now = time.monotonic()
        if events:
            # What happened may have brought timeouts forward.
            self._looks_again = min(self._looks_again, now + self._tick)
        if now >= self._looks_again:
            self._look(now)
        if now >= self._accepts_again:
            self._accepts_again = math.inf
            self._selector.register(self.socket, selectors.EVENT_READ, self._accept)

    def _seconds_without_events(self) -> float | None:
        """Return how long to wait for events at most, or None: without connections there are no timeouts."""
        until = min(self._looks_again, self._accepts_again)
        return None if until == math.inf else max(0.0, until - time.monotonic())

    def _look(self, now: float) -> None:
        """Handle all timeouts that expired."""
        for connection in list(self._connections):
            if connection.is_late(now):
                self._drop(connection)
            elif connection.stop_holding(now):
                self._advance(connection)
        # At most one look per tick, however many events there are; without events, none before something is due.
        due = min((connection.due for connection in self._connections), default=math.inf)
        self._looks_again = max(due, now + self._tick)

    def _accept(self) -> None:
        for accepted in range(ACCEPTED_AT_ONCE):
            try:
                wire, peer = self.socket.accept()
            except (BlockingIOError, ConnectionError):
                return
            except OSError as error:
                if accepted:
                    # Without a free descriptor it fails even if nobody waits, which only the selector tells.
                    return
                # Usually no descriptor is free, which is the same as a full table.
                if not self._make_room():
                    self._pause_accepting(error)
                    return
            else:
                self._welcome(wire, peer)

    def _pause_accepting(self, error: OSError) -> None:
        _log.error("cannot accept connections", reason=error.strerror or error)
        self._selector.unregister(self.socket)
        self._accepts_again = time.monotonic() + PAUSE

    def _make_room(self) -> bool:
        """Close connections for new ones; return whether there were any."""
        leaving = who_gives_way(self._connections, self._limits)
        for connection in leaving:
            self._forget(connection)
            connection.give_way()
        return bool(leaving)

    def _welcome(self, wire: socket.socket, peer: object) -> None:
        host = peer[0] if isinstance(peer, tuple) else ""
        if len(self._connections) >= self._limits.connections:
            self._make_room()
        wire.setblocking(False)  # noqa: FBT003 (its only argument)
        try:
            if context := self._tls():
                wire = context.wrap_socket(wire, server_side=True, do_handshake_on_connect=False)
        except OSError:
            # The client disconnected already.
            wire.close()
            return
        connection = Connection(wire, client_of(host), host, self._limits, time.monotonic())
        self._connections.add(connection)
        # Most requests have arrived already.
        self._advance(connection)

    def _watch(self, connection: Connection) -> None:
        """Register the events that a connection waits for."""
        wanted, registered = connection.events, connection.registered
        if wanted == registered:
            return
        if not registered:
            self._selector.register(connection.wire, wanted, partial(self._advance, connection))
        elif not wanted:
            self._selector.unregister(connection.wire)
        else:
            self._selector.modify(connection.wire, wanted, partial(self._advance, connection))
        connection.registered = wanted

    def _advance(self, connection: Connection) -> None:
        """Continue with a connection as far as possible without blocking."""
        if connection not in self._connections:
            return
        now = time.monotonic()
        try:
            if connection.waits_for_client:
                self._receive(connection, now)
            if connection.is_sending:
                self._send(connection, now)
        except ConnectionEndedError:
            self._drop(connection)
        except Exception as error:  # noqa: BLE001 (one client must not affect others)
            _log.error("serving a client failed", error=error)
            self._drop(connection)
        else:
            self._watch(connection)

    def _receive(self, connection: Connection, now: float) -> None:
        request = connection.receive(now)
        if request:
            connection.exchange = Exchange(self._application, request.head, request.body, self._about(connection))
            self._have_made(connection, connection.exchange)

    def _send(self, connection: Connection, now: float) -> None:
        if connection.flush(now):
            assert connection.exchange
            self._have_made(connection, connection.exchange)
        elif connection.waits_for_client:
            # The next request may be buffered already, which the selector does not report.
            self._receive(connection, now)

    def _have_made(self, connection: Connection, exchange: Exchange) -> None:
        self._lanes.put(partial(self._make, connection, exchange), self._lane_of(exchange.head.decoded_path))

    def _make(self, connection: Connection, exchange: Exchange) -> None:
        """Generate the next part of a response, in a worker thread."""
        if connection.is_closed:
            exchange.close()
            return
        try:
            sending = exchange.advance()
        except CutError:
            sending = None
        self._made.append((connection, exchange, sending))
        self._wake_up()

    def _take_made(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._woken.recv(PIECE)
        while self._made:
            connection, exchange, sending = self._made.popleft()
            if connection not in self._connections:
                self._abandon(exchange)
            elif sending is None:
                self._drop(connection)
            else:
                connection.send(sending, time.monotonic())
                self._advance(connection)

    def _drop(self, connection: Connection) -> None:
        if connection in self._connections:
            self._forget(connection)
            connection.close()

    def _forget(self, connection: Connection) -> None:
        self._connections.remove(connection)
        if connection.registered:
            self._selector.unregister(connection.wire)
        # While a response is generated, the connection belongs to the worker thread.
        if connection.exchange and not connection.is_working:
            self._abandon(connection.exchange)

    def _abandon(self, exchange: Exchange) -> None:
        self._lanes.put(exchange.close, self._lane_of(exchange.head.decoded_path))

    def _about(self, connection: Connection) -> dict[str, str]:
        is_secured = isinstance(connection.wire, ssl.SSLSocket)
        name = self.socket.getsockname()
        host, port = name[:2] if isinstance(name, tuple) else ("localhost", 0)
        return {
            "REMOTE_ADDR": connection.peer,
            "SERVER_NAME": str(host),
            "SERVER_PORT": str(port),
            "wsgi.url_scheme": "https" if is_secured else "http",
        }

    def _wake_up(self) -> None:
        # The pipe is full of wake-ups not yet read, or closed at the end.
        with contextlib.suppress(OSError):
            if self._waking:
                self._waking.send(b"1")

    def _end(self) -> None:
        self.socket.close()
        for connection in list(self._connections):
            self._drop(connection)
        self._lanes.close(timeout=0.2)
        self._selector.close()
        self._woken.close()
        if self._waking:
            self._waking.close()
