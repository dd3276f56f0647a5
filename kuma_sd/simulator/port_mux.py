"""Serve several protocols on one port, chosen by the first bytes of a connection, like cmux in Kuma."""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable

from kuma_sd.core.errors import ConfigError

Serve = Callable[[socket.socket], None]
"""Serves one connection until it ends; the caller closes it."""

_TLS_HANDSHAKE = b"\x16"
_HTTP_2 = b"PRI"
_ENOUGH_TO_TELL = 3
_PIECE = 2**18
_PATIENCE = 5.0

# The response of Go's net/http to unexpected HTTP/2.
_BAD_REQUEST = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request"
)


class PortMux:
    """Listens at one port and hands each connection on; to be run in a thread.

    Args:
        grpc: serves HTTP/2; None if it is not served.
        http: serves HTTP/1.1; None if it is not served.
        tls: if given, every connection must use TLS. As in Kuma, no ALPN is selected, so it is HTTP/1.1.
    """

    def __init__(self, grpc: Serve | None, http: Serve | None, tls: ssl.SSLContext | None = None) -> None:
        self._grpc = grpc
        self._http = http
        self._tls = tls
        self._lock = threading.Lock()
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._closed = False
        self._listener: socket.socket | None = None

    def start(self, address: str) -> int:
        """Listen; returns the port.

        Args:
            address: host and port; with port 0 the kernel chooses one.

        Raises:
            ConfigError: it cannot listen there.
        """
        host, _, port = address.rpartition(":")
        family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
        try:
            listener = socket.create_server((host.strip("[]"), int(port)), family=family, backlog=1024)
        except OSError as error:
            raise ConfigError(f"cannot listen at {address}: it is taken, or not an address of this machine") from error
        self._listener = listener
        return int(listener.getsockname()[1])

    def run(self) -> None:
        """Accept connections until closed."""
        listener = self._listener
        assert listener is not None, "start() comes first"
        try:
            while True:
                self._accept(listener.accept()[0])
        except OSError:
            # close() ends accept() this way; other errors, such as too many open files, must be raised.
            if not self._closed:
                raise

    def close(self) -> None:
        """Free the port and cut all connections."""
        with self._lock:
            self._closed = True
            connections = dict(self._connections)
        if self._listener:
            # close() alone would not wake a thread in accept().
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        for connection in connections:
            cut(connection)
        for thread in connections.values():
            thread.join()

    def _accept(self, connection: socket.socket) -> None:
        thread = threading.Thread(target=self._serve, args=(connection,), name="simulator connection", daemon=True)
        with self._lock:
            if self._closed:
                connection.close()
                return
            self._connections[connection] = thread
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        # A client that disconnects, or does not send TLS, ends only its own connection.
        try:
            with contextlib.suppress(OSError):
                self._split(connection)
        finally:
            with self._lock:
                self._connections.pop(connection)
            connection.close()

    def _split(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        start = connection.recv(_ENOUGH_TO_TELL, socket.MSG_PEEK | socket.MSG_WAITALL)
        if self._tls:
            # A duplicate, since the original must stay a socket that can be shut down.
            with self._tls.wrap_socket(connection.dup(), server_side=True) as encrypted:
                self._serve_http(encrypted)
        elif start == _HTTP_2 and self._grpc:
            self._grpc(connection)
        elif start == _HTTP_2 and self._http:
            _refuse(connection)
        elif not start.startswith(_TLS_HANDSHAKE) and self._http:
            self._serve_http(connection)
        elif start:
            _reset(connection)

    def _serve_http(self, connection: socket.socket) -> None:
        if self._http:
            self._http(connection)


def cut(connection: socket.socket) -> None:
    """Shut down a connection, which wakes the threads that wait for it."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def relay(client: socket.socket, server: socket.socket) -> None:
    """Relay all bytes between a client and a server until one of them ends; then both connections are shut down."""
    back = threading.Thread(target=_pump, args=(server, client), name="simulator relay", daemon=True)
    back.start()
    _pump(client, server)
    back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    buffer = memoryview(bytearray(_PIECE))
    with contextlib.suppress(OSError):
        while size := source.recv_into(buffer):
            sink.sendall(buffer[:size])
    cut(sink)
    cut(source)


def _refuse(connection: socket.socket) -> None:
    connection.sendall(_BAD_REQUEST)
    # With unread bytes, closing would reset the connection, and the client might never see the response.
    connection.shutdown(socket.SHUT_WR)
    connection.settimeout(_PATIENCE)
    while connection.recv(_PIECE):
        pass


def _reset(connection: socket.socket) -> None:
    # As a server for gRPC only does with other protocols.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
