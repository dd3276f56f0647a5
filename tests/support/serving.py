"""An application served on a free port of this machine, and raw clients for it."""

import base64
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from wsgiref.types import WSGIApplication

from kuma_sd.system.threads import Threads
from kuma_sd.web.paths import Lane
from kuma_sd.web.server.limits import ConnectionLimits
from kuma_sd.web.server.serving import Serving
from kuma_sd.web.server.tls import ServerContext

Address = tuple[str, int]

QUICK = ConnectionLimits(threads=2, connections=20, silence=0.3, idle=0.3, request=0.3, answer=0.6)
"""Little patience, so that tests of it are quick."""


@contextlib.contextmanager
def served(
    application: WSGIApplication,
    limits: ConnectionLimits | None = None,
    tls: Callable[[], ServerContext | None] = lambda: None,
    lane_of: Callable[[str], Lane] = lambda _path: Lane.STATUS,
) -> Iterator[Address]:
    """Serve until the block ends."""
    bound = socket.create_server(("127.0.0.1", 0))
    threads = Threads()
    threads.start("web", Serving(bound, application, limits, tls, lane_of))
    try:
        yield bound.getsockname()
    finally:
        assert threads.stop(timeout=5) == []
        assert threads.failure is None


@contextlib.contextmanager
def connected(address: Address, context: ssl.SSLContext | None = None) -> Iterator[socket.socket]:
    """Connect, and wait for no answer longer than five seconds."""
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(socket.create_connection(address, timeout=5))
        if context:
            client = stack.enter_context(context.wrap_socket(client, server_hostname="localhost"))
        yield client


def exchange(address: Address, request: bytes, context: ssl.SSLContext | None = None) -> bytes:
    """Send a request and return all that comes until the connection is closed."""
    with connected(address, context) as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(request)
        return read_all(client)


def get(address: Address, path: str = "/", *headers: str, context: ssl.SSLContext | None = None) -> bytes:
    """Ask for a path, on a connection of its own."""
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers, "", ""]
    return exchange(address, "\r\n".join(lines).encode(), context)


def basic(user: str, password: str) -> str:
    """Return what a client says under ``Authorization``."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def read_all(client: socket.socket) -> bytes:
    """Read until the connection is closed or cut."""
    pieces = []
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while piece := client.recv(2**16):
            pieces.append(piece)
    return b"".join(pieces)
