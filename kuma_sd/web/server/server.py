"""Serves a bound socket with cheroot, so that no client holds up others. Importing this loads it, so it is done late.

Cheroot reads and answers in a pool of threads. What it lacks, each of which a client could use against us, is added
here: a connection that says nothing occupies no thread, a request and its answer have to be through in time however
busy the client looks, there are only so many connections, and none waits in the thread that accepts.
"""

import contextlib
import logging
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cheroot import wsgi
from cheroot.makefile import StreamReader
from cheroot.server import HTTPConnection, HTTPRequest

from kuma_sd.web.application import LARGEST_BODY
from kuma_sd.web.server.tls import ServerContext

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

_log = logging.getLogger(__name__)

LARGEST_HEAD = 2**14
"""How long the head of a request may be, in bytes."""

PIECE = 2**16
"""How much is sent at a time, in bytes; each time the client may be slow anew, until the answer takes too long."""

PLAIN_ON_TLS = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nthis port speaks HTTPS\n"
)


@dataclass(frozen=True)
class ConnectionLimits:
    """What clients may take.

    Args:
        threads: how many requests are answered at a time.
        connections: how many may be open; one more is closed at once. It keeps descriptors for the daemon itself.
        silence: how long a client may neither send nor take anything, in seconds.
        request: how long a request may take to arrive, with the TLS handshake, in seconds.
        answer: how long its answer may take to be made and taken, in seconds.
    """

    threads: int = 8
    connections: int = 400
    silence: float = 5.0
    request: float = 5.0
    answer: float = 60.0


class Serving:
    """Serves an application on a socket, in threads, until closed.

    Args:
        bound: a socket that is bound; it is closed at the end.
        application: what answers.
        limits: what clients may take.
        tls: returns how to speak TLS with a new client; None for plain HTTP.
    """

    def __init__(
        self,
        bound: socket.socket,
        application: "WSGIApplication",
        limits: ConnectionLimits | None = None,
        tls: Callable[[], ServerContext | None] = lambda: None,
    ) -> None:
        # Cheroot takes descriptor 3 for its own whenever this is there, even if it was meant for another process.
        os.environ.pop("LISTEN_PID", None)
        self.socket = bound
        self._limits = limits or ConnectionLimits()
        self._server = _Server(bound, application, self._limits, tls)
        self._closing = threading.Event()

    def run(self) -> None:
        """Serve until closed."""
        server, limits = self._server, self._limits
        server.prepare()
        serving = threading.Thread(target=server.serve, name=threading.current_thread().name, daemon=True)
        serving.start()
        while not self._closing.wait(min(1.0, limits.request / 4, limits.answer / 4)):
            server.cut(time.monotonic())
        server.closing = True
        stopping = threading.Thread(target=server.stop, daemon=True)
        stopping.start()
        # Wakes the thread that accepts, which looks seldom whether it shall stop.
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        server.cut(float("inf"))
        stopping.join()
        serving.join()

    def close(self) -> None:
        """End run(), from any thread."""
        self._closing.set()


class _Server(wsgi.Server):
    """Cheroot's server, on a socket that is bound already."""

    max_request_header_size = LARGEST_HEAD
    max_request_body_size = LARGEST_BODY
    # It counts idle ones only; we count all.
    keep_alive_conn_limit: Any = None

    def __init__(
        self,
        bound: socket.socket,
        application: "WSGIApplication",
        limits: ConnectionLimits,
        tls: Callable[[], ServerContext | None],
    ) -> None:
        is_local = bound.family == socket.AF_UNIX
        super().__init__(
            "control socket" if is_local else bound.getsockname()[:2],
            application,
            limits.threads,
            server_name="kuma-sd",
            max=limits.threads,
            request_queue_size=limits.connections,
            timeout=limits.silence,  # type: ignore[arg-type] # (it takes any number)
            shutdown_timeout=0,
        )
        # Cheroot keeps every server there for ever.
        getattr(logging, "statistics", {}).pop(f"Cheroot HTTPServer {id(self)}", None)
        self.ConnectionClass = _Connection
        self.limits = limits
        self.closing = False
        self.connections: set[_Connection] = set()
        self._bound = bound
        if not is_local:
            self.ssl_adapter = _Adapter(tls)

    def prepare(self) -> None:
        super().prepare()
        # A client that went before it was accepted would be waited for, and so would the end.
        self._bound.setblocking(False)  # noqa: FBT003 (its only argument)

    def bind(self, _family: int, _type: int, _proto: int = 0) -> socket.socket:
        self.socket = self._bound
        return self._bound

    def bind_unix_socket(self, _address: str) -> socket.socket:
        return self.bind(0, 0)

    def process_conn(self, conn: "_Connection") -> None:
        if conn.last_used is not None:
            super().process_conn(conn)
        elif len(self.connections) > self.limits.connections:
            conn.close()
        else:
            # A new one waits as an idle one does, so that it occupies no thread before it says something.
            self._connections.put(conn)  # type: ignore[attr-defined] # (its types lack it)

    def cut(self, now: float) -> None:
        """Cut the connections whose time is over."""
        for connection in self.connections.copy():
            if connection.deadline <= now and (connection.in_use or self.closing):
                connection.cut()

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: Any = False) -> None:  # noqa: ANN401, FBT002 (cheroot's)
        if self.closing:
            return
        if level < logging.ERROR:
            # What clients do wrong is theirs to know; they could fill the log.
            _log.debug("%s", msg)
            return
        _log.error("%s", msg, exc_info=bool(traceback))
        # It tries again at once, without end when there are no more descriptors.
        threading.Event().wait(0.1)


class _Connection(HTTPConnection):
    def __init__(self, server: _Server, sock: socket.socket, _makefile: object) -> None:
        super().__init__(server, sock, _file_of)
        self.deadline = float("-inf")
        self.in_use = False
        self._greeted = False
        server.connections.add(self)

    def communicate(self) -> bool:
        self.deadline, self.in_use = time.monotonic() + self.server.limits.request, True
        try:
            return not self.server.closing and self._greet() and super().communicate()  # type: ignore[no-untyped-call] # (cheroot's)
        finally:
            self.in_use = False

    def close(self) -> None:
        self.server.connections.discard(self)
        super().close()

    def cut(self) -> None:
        # Not by the method of TLS sockets, which is for the thread that uses it.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.socket, socket.SHUT_RDWR)

    def _greet(self) -> bool:
        """Do the TLS handshake: here, since it waits for the client."""
        if not isinstance(self.socket, ssl.SSLSocket) or self._greeted:
            return True
        try:
            self.socket.do_handshake()
        except OSError as error:
            if getattr(error, "reason", "") == "HTTP_REQUEST":
                with contextlib.suppress(OSError):
                    socket.socket.send(self.socket, PLAIN_ON_TLS)
            self.server.error_log(f"TLS with {self.remote_addr} failed: {error}", logging.DEBUG)
            return False
        context = self.socket.context
        self._greeted = not isinstance(context, ServerContext) or context.admits(self.socket)
        return self._greeted


class _Request(HTTPRequest):
    def __init__(self, server: _Server, connection: _Connection) -> None:
        super().__init__(server, connection)
        self.scheme = b"https" if isinstance(connection.socket, ssl.SSLSocket) else b"http"

    def read_request_headers(self) -> bool:
        if not super().read_request_headers():  # type: ignore[no-untyped-call] # (cheroot's)
            return False
        if self.chunked_read:
            # Whatever of it is not read would be taken for the next request.
            self.simple_response("411 Length Required", "a body needs a Content-Length")
            return False
        return True

    def respond(self) -> None:
        self.conn.deadline = time.monotonic() + self.server.limits.answer
        super().respond()


_Connection.RequestHandlerClass = _Request


class _Writer:
    """Sends what is written; cheroot's own copies all that is left after each piece, and warns when it is collected."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self.bytes_written = 0

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        for start in range(0, len(view), PIECE):
            self._socket.sendall(view[start : start + PIECE])
        self.bytes_written += len(data)


def _file_of(sock: socket.socket, mode: str, size: int) -> StreamReader | _Writer:
    return StreamReader(sock, mode, size) if "r" in mode else _Writer(sock)


class _Adapter:
    """What cheroot asks for TLS: the context is looked up for each connection, so that certificates can be replaced."""

    def __init__(self, tls: Callable[[], ServerContext | None]) -> None:
        self._tls = tls

    def wrap(self, sock: socket.socket) -> tuple[socket.socket, dict[str, str]]:
        context = self._tls()
        if context is None:
            return sock, {}
        return context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False), {}

    makefile = staticmethod(_file_of)
