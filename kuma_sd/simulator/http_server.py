"""HTTP/1.1 as Go's net/http speaks it, one connection at a time."""

import email.message
import itertools
import socket
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import NamedTuple

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"

_LARGE = 2048
"""From here on net/http no longer knows the length when it sends the headers."""


class ServerRequest(NamedTuple):
    """An HTTP request, whole; of the path what follows the question mark is apart."""

    method: str
    path: str
    query: str
    headers: email.message.Message
    body: bytes


class ServerResponse(NamedTuple):
    """An HTTP response; the body comes in pieces."""

    status: int
    body: Iterable[bytes] = ()
    content_type: str = TEXT


Service = Callable[[ServerRequest], ServerResponse | None]
"""Answers a request; None ends the connection without an answer."""


def serve(connection: socket.socket, service: Service) -> None:
    """Answer all requests of a connection until it ends."""
    _Handler(connection, service)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, connection: socket.socket, service: Service) -> None:
        self._service = service
        # The base class asks for a server and a peer's address, and uses both for its log only.
        super().__init__(connection, ("", 0), None)  # type: ignore[arg-type]

    def do_POST(self) -> None:
        path, _, query = self.path.partition("?")
        length = self.headers.get("Content-Length", "0")
        body = self.rfile.read(int(length)) if length.isdecimal() else b""
        answer = self._service(ServerRequest(self.command, path, query, self.headers, body))
        if answer is None:
            self.close_connection = True
        else:
            self._send(answer)

    do_GET = do_HEAD = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_POST  # noqa: N815 (the library's names)

    def log_message(self, *_: object) -> None: ...

    def _send(self, answer: ServerResponse) -> None:
        self.send_response_only(answer.status)
        self.send_header("Date", self.date_time_string())
        pieces = iter(answer.body)
        first = list(itertools.islice(pieces, 2))
        if not first:
            # Only answers that have none by definition come without a body: 304.
            self.end_headers()
            return
        self.send_header("Content-Type", answer.content_type)
        if len(first) == 1 and len(first[0]) <= _LARGE:
            self.send_header("Content-Length", str(len(first[0])))
            self.end_headers()
            self.wfile.write(first[0])
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in _chunks(itertools.chain(first, pieces)):
            self.wfile.write(chunk)


def _chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"
