"""One client: what came of its request, and what is still to be sent to it. Nothing here blocks."""

import contextlib
import enum
import logging
import selectors
import socket
import ssl
from collections import deque
from typing import NamedTuple

from kuma_sd.web.server.exchange import Exchange, Sending, refusal
from kuma_sd.web.server.limits import ConnectionLimits
from kuma_sd.web.server.request_head import LARGEST_HEAD, BadRequestError, RequestHead, parse_head
from kuma_sd.web.server.tls import ServerContext

_log = logging.getLogger(__name__)

LARGEST_BODY = 2**16
"""How much a client may send as a body, in bytes."""

PIECE = 2**16
"""How much is received or sent at a time, in bytes."""

PLAIN_ON_TLS = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nthis port speaks HTTPS\n"
)

PIECES_IN_TURN = 16
"""How many pieces it sends, or receives in vain, before it is another connection's turn."""

_END_OF_HEAD = b"\r\n\r\n"


class Phase(enum.Enum):
    """What a connection does."""

    RECEIVING = "its request is awaited, or the TLS handshake"
    WORKING = "its answer is being made"
    SENDING = "its answer is being sent"
    LINGERING = "all is sent, and what the client still sends is thrown away so that it reads that"


class ConnectionEndedError(Exception):
    """The client is gone, or said what ends the connection."""


class Request(NamedTuple):
    """A request that came whole."""

    head: RequestHead
    body: bytes


class Connection:
    """One client's connection; used by one thread.

    Args:
        wire: its socket, which does not block; a TLS socket before its handshake.
        client: whose it is, as limits count.
        peer: its address.
        limits: how long it may take.
        now: the present time, in seconds of ``time.monotonic()``.
    """

    def __init__(self, wire: socket.socket, client: str, peer: str, limits: ConnectionLimits, now: float) -> None:
        self.wire = wire
        self.client = client
        self.peer = peer
        self.phase = Phase.RECEIVING
        self.since = now
        self.deadline = now + limits.silence
        self.events = selectors.EVENT_READ
        self.registered = 0
        self.exchange: Exchange | None = None
        self._limits = limits
        self._buffer = bytearray()
        self._head: RequestHead | None = None
        self._outgoing: deque[memoryview] = deque()
        self._greeted = not isinstance(wire, ssl.SSLSocket)
        self.is_closed = False
        self._more = False
        self._has_ended = False
        self._keeps_alive = True

    @property
    def waits_for_client(self) -> bool:
        """Whether it has no complete request yet."""
        return self.phase in (Phase.RECEIVING, Phase.LINGERING)

    @property
    def is_working(self) -> bool:
        """Whether its answer is being made."""
        return self.phase is Phase.WORKING

    def receive(self, now: float) -> Request | None:
        """Take what came; returns a request once it is whole.

        Raises:
            ConnectionEndedError: the client is gone.
        """
        if not self._greeted and not self._greet():
            return None
        try:
            request = self._complete()
            if not request:
                self._read(now)
                request = self._complete()
        except BadRequestError as error:
            self.refuse(error.status, str(error), now)
            return None
        if request:
            self._enter(Phase.WORKING, now, self._limits.answer, 0)
        elif self._has_ended:
            raise ConnectionEndedError
        return request

    def send(self, sending: Sending, now: float) -> None:
        """Begin to send what was made."""
        self._outgoing.extend(memoryview(piece) for piece in sending.pieces if piece)
        self._more, self._keeps_alive = sending.more, sending.keeps_alive
        self.phase, self.since, self.events = Phase.SENDING, now, selectors.EVENT_WRITE

    def refuse(self, status: int, reason: str, now: float) -> None:
        """Answer that the request is none, and end the connection then."""
        self.deadline = now + self._limits.silence
        self.send(Sending([refusal(status, reason)], more=False, keeps_alive=False), now)

    def flush(self, now: float) -> bool:
        """Send what the client takes; returns whether more of the answer is to be made.

        Raises:
            ConnectionEndedError: the client is gone, or has the whole answer and shall go.
        """
        for _ in range(PIECES_IN_TURN):
            if not self._outgoing:
                break
            try:
                sent = self.wire.send(self._outgoing[0][:PIECE])
            except (BlockingIOError, ssl.SSLWantWriteError):
                return False
            except ssl.SSLWantReadError:
                self.events = selectors.EVENT_READ
                return False
            except OSError as error:
                raise ConnectionEndedError from error
            self.events, self.since = selectors.EVENT_WRITE, now
            left = self._outgoing.popleft()[sent:]
            if left:
                self._outgoing.appendleft(left)
        if self._outgoing:
            return False
        if self._more:
            self.phase, self.events = Phase.WORKING, 0
            return True
        self._finish(now)
        return False

    def is_late(self, now: float) -> bool:
        """Tell whether its time is over."""
        return now >= self.deadline or (self.phase is Phase.SENDING and now >= self.since + self._limits.silence)

    def close(self) -> None:
        """Close it."""
        self.is_closed = True
        with contextlib.suppress(OSError):
            self.wire.close()

    def _finish(self, now: float) -> None:
        self.exchange = None
        if self._keeps_alive and not self._has_ended:
            self._enter(Phase.RECEIVING, now, self._limits.silence, selectors.EVENT_READ)
            return
        self._enter(Phase.LINGERING, now, min(1.0, self._limits.silence), selectors.EVENT_READ)
        try:
            # Not by the method of TLS sockets, which would take TLS away.
            socket.socket.shutdown(self.wire, socket.SHUT_WR)
        except OSError as error:
            raise ConnectionEndedError from error

    def _enter(self, phase: Phase, now: float, seconds: float, events: int) -> None:
        self.phase, self.since, self.deadline, self.events = phase, now, now + seconds, events

    def _greet(self) -> bool:
        """Go on with the TLS handshake; returns whether it is done."""
        assert isinstance(self.wire, ssl.SSLSocket)
        try:
            self.wire.do_handshake()
        except ssl.SSLWantReadError:
            self.events = selectors.EVENT_READ
            return False
        except ssl.SSLWantWriteError:
            self.events = selectors.EVENT_WRITE
            return False
        except OSError as error:
            if getattr(error, "reason", "") == "HTTP_REQUEST":
                with contextlib.suppress(OSError):
                    socket.socket.send(self.wire, PLAIN_ON_TLS)
            _log.debug("TLS with %s failed: %s", self.peer, error)
            raise ConnectionEndedError from error
        context = self.wire.context
        if isinstance(context, ServerContext) and not context.admits(self.wire):
            raise ConnectionEndedError
        self._greeted, self.events = True, selectors.EVENT_READ
        return True

    def _read(self, now: float) -> None:
        """Receive what is there."""
        was_empty = not self._buffer
        # All of it, since a TLS socket may hold more than the selector knows of.
        for _ in range(PIECES_IN_TURN):
            data = self._received()
            if not data:
                break
            if self.phase is not Phase.LINGERING:
                self._buffer += data
        if was_empty and self._buffer:
            # From its first byte on, a request may take so long and no longer.
            self.since, self.deadline = now, now + self._limits.request

    def _received(self) -> bytes:
        try:
            data = self.wire.recv(PIECE)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return b""
        except OSError as error:
            raise ConnectionEndedError from error
        self._has_ended = not data
        return data

    def _complete(self) -> Request | None:
        """Return a request once it is in the buffer as a whole."""
        if self.phase is Phase.LINGERING:
            return None
        if self._head is None:
            self._head = self._received_head()
        if self._head is None or len(self._buffer) < self._head.content_length:
            return None
        head, length, self._head = self._head, self._head.content_length, None
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        return Request(head, body)

    def _received_head(self) -> RequestHead | None:
        # An empty line before a request is passed over (RFC 9112, 2.2).
        while self._buffer.startswith(b"\r\n"):
            del self._buffer[:2]
        end = self._buffer.find(_END_OF_HEAD, 0, LARGEST_HEAD + len(_END_OF_HEAD))
        if end < 0:
            if len(self._buffer) > LARGEST_HEAD:
                status = 431 if b"\r\n" in self._buffer[:LARGEST_HEAD] else 414
                raise BadRequestError(status, f"the head of the request is longer than {LARGEST_HEAD} bytes")
            return None
        head = parse_head(bytes(self._buffer[:end]))
        if head.content_length > LARGEST_BODY:
            raise BadRequestError(413, f"the body is larger than {LARGEST_BODY} bytes")
        del self._buffer[: end + len(_END_OF_HEAD)]
        return head
