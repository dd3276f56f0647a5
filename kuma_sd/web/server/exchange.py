"""Run the WSGI application (PEP 3333) for one request. The thread that runs it never waits for a client."""

import io
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from kuma_sd.core.logger import Logger
from kuma_sd.web.server.request_head import RequestHead

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

_log = Logger(__name__)

HANDED_OVER = 2**18
"""Number of bytes of a response generated before the client has taken the previous ones."""

ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


class Sending(NamedTuple):
    """The next part of a response.

    Args:
        pieces: the data, in order.
        more: whether more must be generated once these are sent.
        keeps_alive: whether another request may follow on the connection.
        later: whether it tells the client to come later.
        is_good: whether the response is no error.
    """

    pieces: Sequence[bytes]
    more: bool
    keeps_alive: bool
    later: bool = False
    is_good: bool = False


class CutError(Exception):
    """The response cannot be finished; the connection is cut so that the client notices."""


class Exchange:
    """Answers one request.

    Args:
        application: the WSGI application.
        head: the request's head.
        body: the whole request body.
        about: further WSGI environment variables: client, server and scheme.
    """

    def __init__(
        self, application: "WSGIApplication", head: RequestHead, body: bytes, about: Mapping[str, str]
    ) -> None:
        self.head = head
        self._application = application
        self._body = body
        self._about = about
        self._status = ""
        self._fields: list[tuple[str, str]] = []
        self._iterable: Any = None
        self._iterator: Iterator[bytes] | None = None
        self._is_chunked = False
        self._left: int | None = None
        self._keeps_alive = head.keeps_alive

    def advance(self) -> Sending:
        """Generate the next part of the response.

        Raises:
            CutError: the application failed in the middle of its response.
        """
        begun = self._iterator is not None
        try:
            pieces, more = self._made() if begun else self._begin()
        except Exception as error:
            _log.error("request failed", error=error, path=self.head.path)
            if begun:
                raise CutError from error
            self.close()
            return Sending([refusal(500, "internal error; the log says more")], more=False, keeps_alive=False)
        if not more:
            self.close()
        later = not begun and any(name.lower() == "retry-after" for name, _ in self._fields)
        return Sending(pieces, more, self._keeps_alive, later, is_good=self._status < "4")

    def close(self) -> None:
        """Close the application's iterable."""
        close = getattr(self._iterable, "close", None)
        self._iterable = None
        self._iterator = iter(())
        if close:
            try:
                close()
            except Exception as error:  # noqa: BLE001 (one failing request must not affect others)
                _log.error("closing a response failed", error=error, path=self.head.path)

    def _begin(self) -> tuple[list[bytes], bool]:
        self._iterable = self._application(self._environment(), self._start)
        self._iterator = iter(self._iterable)
        body, more = self._pulled()
        if not self._status:
            raise RuntimeError("the application returned without calling start_response")
        head = self._head(None if more else sum(map(len, body)))
        return [head, *self._framed(body, more=more)], more

    def _made(self) -> tuple[list[bytes], bool]:
        body, more = self._pulled()
        return self._framed(body, more=more), more

    def _pulled(self) -> tuple[list[bytes], bool]:
        assert self._iterator is not None
        pieces: list[bytes] = []
        size = 0
        for piece in self._iterator:
            if piece:
                pieces.append(piece)
                size += len(piece)
            if size >= HANDED_OVER and not isinstance(self._iterable, list | tuple):
                return pieces, True
        return pieces, False

    def _framed(self, body: list[bytes], *, more: bool) -> list[bytes]:
        """Encode a response body for sending."""
        if self._has_no_body:
            return []
        if self._is_chunked:
            framed = [part for piece in body for part in (b"%x\r\n" % len(piece), piece, b"\r\n")]
            return framed if more else [*framed, b"0\r\n\r\n"]
        if self._left is not None:
            self._left -= sum(map(len, body))
            if self._left < 0 or (self._left and not more):
                raise ValueError("the body is not as long as its Content-Length says")
        return body

    @property
    def _has_no_body(self) -> bool:
        return self.head.method == "HEAD" or self._status.startswith(("204", "304"))

    def _head(self, length: int | None) -> bytes:
        # Imported late: it loads slowly, and a daemon may answer nobody.
        from email.utils import formatdate  # noqa: PLC0415

        names = {name.lower(): value for name, value in self._fields}
        fields = [*self._fields, ("Date", formatdate(time.time(), usegmt=True))]
        if "content-length" in names:
            self._left = int(names["content-length"])
        elif self._has_no_body:
            pass
        elif length is not None:
            fields.append(("Content-Length", str(length)))
        elif self.head.version == "HTTP/1.1":
            self._is_chunked = True
            fields.append(("Transfer-Encoding", "chunked"))
        else:
            self._keeps_alive = False
        if not self._keeps_alive:
            fields.append(("Connection", "close"))
        return _head_of(self._status, fields)

    def _start(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], object]:
        if exc_info and self._iterator is not None and exc_info[1]:
            raise exc_info[1]
        self._status = status
        self._fields = list(headers)
        return _write

    def _environment(self) -> dict[str, Any]:
        head = self.head
        fields = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in head.fields.items()}
        fields["CONTENT_TYPE"] = fields.pop("HTTP_CONTENT_TYPE", "")
        fields.pop("HTTP_CONTENT_LENGTH", None)
        return {
            **fields,
            **self._about,
            "REQUEST_METHOD": head.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": head.decoded_path,
            "QUERY_STRING": head.query,
            "CONTENT_LENGTH": str(len(self._body)),
            "SERVER_PROTOCOL": head.version,
            "wsgi.version": (1, 0),
            "wsgi.input": io.BytesIO(self._body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }


def refusal(status: int, reason: str) -> bytes:
    """Return a complete error response, after which the connection ends."""
    body = f"{reason}\n".encode()
    fields = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("X-Content-Type-Options", "nosniff"),
        ("Connection", "close"),
    ]
    return _head_of(f"{status} {HTTPStatus(status).phrase}", fields) + body


def _head_of(status: str, fields: Iterable[tuple[str, str]]) -> bytes:
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields)]
    if any(character in line for line in lines for character in "\r\n\0"):
        raise ValueError("a header of the answer holds the end of a line")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _write(_data: bytes) -> object:
    raise NotImplementedError("write() of WSGI is not offered; return the body")
