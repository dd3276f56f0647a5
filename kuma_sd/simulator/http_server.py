"""Serve HTTP/1.1 like Go's net/http, one connection at a time."""

import email.message
import itertools
import re
import socket
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler
from io import BufferedIOBase
from typing import NamedTuple

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"

_LARGE = 2048
"""Size of a body, in bytes, from which net/http does not know the length when it sends the headers."""


_LONGEST_LINE = 4096
"""Maximum length of a line before, between or after chunks, in bytes; as in net/http."""


class ServerRequest(NamedTuple):
    """A complete HTTP request; the query is separate from the path."""

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
        # The base class requires a server and a peer's address, and uses both only for its log.
        super().__init__(connection, ("", 0), None)  # type: ignore[arg-type]

    def do_POST(self) -> None:
        path, _, query = self.path.partition("?")
        answer: ServerResponse | None
        try:
            body = _body(self.rfile, self.headers)
        except _BadBodyError as error:
            self.close_connection = True  # where the next request begins is not known
            answer = ServerResponse(error.status, [str(error).encode()])
        else:
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
            # Only 304 has no body, by definition.
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


class _BadBodyError(Exception):
    """A body whose end cannot be found.

    Args:
        status: what net/http answers.
        message: why.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def _body(wire: BufferedIOBase, headers: email.message.Message) -> bytes:
    """Read a request's body as net/http does: chunked counts before a length (RFC 9112, section 6.3)."""
    encoding = headers.get("Transfer-Encoding")
    if encoding is not None:
        if encoding.strip().lower() != "chunked":
            raise _BadBodyError(501, "Unsupported transfer encoding")
        return b"".join(_sent_chunks(wire))
    length = headers.get("Content-Length", "0").strip()
    if not (length.isascii() and length.isdecimal()):
        raise _BadBodyError(400, "400 Bad Request")
    return wire.read(int(length))


def _sent_chunks(wire: BufferedIOBase) -> Iterator[bytes]:
    while size := _chunk_size(wire.readline(_LONGEST_LINE)):
        yield wire.read(size)
        if wire.readline(_LONGEST_LINE).strip():
            raise _BadBodyError(400, "400 Bad Request")
    while wire.readline(_LONGEST_LINE).strip():
        pass  # trailers are ignored


def _chunk_size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()  # what follows is an extension
    if not re.fullmatch(rb"[0-9a-fA-F]{1,16}", digits):
        raise _BadBodyError(400, "400 Bad Request")
    return int(digits, 16)


def _chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"
