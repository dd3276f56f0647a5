"""One client connection: received request data, and response data to send. Nothing here blocks."""

import contextlib
import enum
import math
import selectors
import socket
import ssl
from collections import deque
from typing import NamedTuple

from kuma_sd.core.logger import Logger
from kuma_sd.web.server.exchange import Exchange, Sending, refusal
from kuma_sd.web.server.limits import ConnectionLimits, Standing
from kuma_sd.web.server.request_head import LARGEST_HEAD, BadRequestError, RequestHead, parse_head
from kuma_sd.web.server.tls import ServerContext

_log = Logger(__name__)

LARGEST_BODY = 2**16
"""Maximum size of a request body, in bytes."""

PIECE = 2**16
"""Size of a single receive or send, in bytes."""

PLAIN_ON_TLS = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nthis port speaks HTTPS\n"
)

PIECES_IN_TURN = 16
"""Number of sends, or of receives without a complete request, before other connections are served."""

_END_OF_HEAD = b"\r\n\r\n"


class Phase(enum.Enum):
    """The state of a connection."""

    RECEIVING = "its request is awaited, or the TLS handshake"
    WORKING = "its answer is being made"
    HOLDING = "its answer tells it to come later, and is held back a while for clients that do not"
    SENDING = "its answer is being sent"
    LINGERING = "all is sent, and what the client still sends is thrown away so that it reads that"


class ConnectionEndedError(Exception):
    """The client disconnected, or sent data that ends the connection."""


class Request(NamedTuple):
    """A complete request."""

    head: RequestHead
    body: bytes


class Connection:
    """One client's connection; used by one thread.

    Args:
        wire: its non-blocking socket; a TLS socket before its handshake.
        client: the client, as counted by the limits.
        peer: its address.
        limits: the timeouts.
        now: the current time, in seconds of ``time.monotonic()``.
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
        self._has_good_answer = False

    @property
    def waits_for_client(self) -> bool:
        """Whether no complete request has been received yet."""
        return self.phase in (Phase.RECEIVING, Phase.LINGERING)

    @property
    def standing(self) -> Standing:
        """What would be lost with it."""
        if self.phase is Phase.RECEIVING:
            return Standing.IDLE if self._has_good_answer else Standing.ASKING
        return Standing.ANSWERING if self.phase in (Phase.WORKING, Phase.SENDING) else Standing.DONE

    @property
    def is_working(self) -> bool:
        """Whether its response is being generated."""
        return self.phase is Phase.WORKING

    @property
    def is_sending(self) -> bool:
        """Whether its response is being sent."""
        return self.phase is Phase.SENDING

    def receive(self, now: float) -> Request | None:
        """Receive data; return a request once it is complete.

        Raises:
            ConnectionEndedError: the client disconnected.
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
        """Start to send a response."""
        self._outgoing.extend(memoryview(piece) for piece in sending.pieces if piece)
        self._more = sending.more
        self._keeps_alive = sending.keeps_alive
        self._has_good_answer = sending.is_good
        self.phase = Phase.SENDING
        self.since = now
        self.events = selectors.EVENT_WRITE
        if sending.later:
            self.phase = Phase.HOLDING
            self.events = 0

    def stop_holding(self, now: float) -> bool:
        """Tell whether a response was held back for long enough, and is to be sent now."""
        if self.phase is not Phase.HOLDING or now < self.since + self._limits.hold:
            return False
        self.phase = Phase.SENDING
        self.since = now
        self.events = selectors.EVENT_WRITE
        return True

    def refuse(self, status: int, reason: str, now: float) -> None:
        """Reject an invalid request, then close the connection."""
        self.deadline = now + self._limits.silence
        self.send(Sending([refusal(status, reason)], more=False, keeps_alive=False), now)

    def flush(self, now: float) -> bool:
        """Send as much as the client takes; return whether more of the response must be generated.

        Raises:
            ConnectionEndedError: the client disconnected, or the response is complete and the connection ends.
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
            self.events = selectors.EVENT_WRITE
            self.since = now
            left = self._outgoing.popleft()[sent:]
            if left:
                self._outgoing.appendleft(left)
        if self._outgoing:
            return False
        if self._more:
            self.phase = Phase.WORKING
            self.events = 0
            return True
        self._finish(now)
        return False

    @property
    def due(self) -> float:
        """When a timeout expires next, or a response that is held back is to be sent."""
        patience = {Phase.SENDING: self._limits.silence, Phase.HOLDING: self._limits.hold}
        return min(self.deadline, self.since + patience.get(self.phase, math.inf))

    def is_late(self, now: float) -> bool:
        """Tell whether a timeout expired."""
        return now >= self.deadline or (self.phase is Phase.SENDING and now >= self.since + self._limits.silence)

    def give_way(self) -> None:
        """Close the connection for others. A response that is complete is still delivered."""
        with contextlib.suppress(OSError, ConnectionEndedError):
            if self.phase is Phase.HOLDING:
                for piece in self._outgoing:
                    self.wire.send(piece)
            # With unread data, closing would reset the connection before the client has read its response.
            self._received()
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self.is_closed = True
        with contextlib.suppress(OSError):
            self.wire.close()

    def _finish(self, now: float) -> None:
        self.exchange = None
        if self._keeps_alive and not self._has_ended:
            patience = self._limits.idle if self._has_good_answer else self._limits.silence
            self._enter(Phase.RECEIVING, now, patience, selectors.EVENT_READ)
            return
        self._enter(Phase.LINGERING, now, min(1.0, self._limits.silence), selectors.EVENT_READ)
        try:
            # Not SSLSocket.shutdown, which removes TLS from the socket.
            socket.socket.shutdown(self.wire, socket.SHUT_WR)
        except OSError as error:
            raise ConnectionEndedError from error

    def _enter(self, phase: Phase, now: float, seconds: float, events: int) -> None:
        self.phase = phase
        self.since = now
        self.deadline = now + seconds
        self.events = events

    def _greet(self) -> bool:
        """Continue the TLS handshake; return whether it is done."""
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
                    # With unread data, closing would reset the connection before the client has read that.
                    socket.socket.recv(self.wire, PIECE)
            _log.debug("TLS handshake failed", client=self.peer, reason=error)
            raise ConnectionEndedError from error
        context = self.wire.context
        if isinstance(context, ServerContext) and not context.admits(self.wire):
            raise ConnectionEndedError
        self._greeted = True
        self.events = selectors.EVENT_READ
        return True

    def _read(self, now: float) -> None:
        """Receive the available data."""
        was_empty = not self._buffer
        # Read everything: a TLS socket may buffer data that the selector does not report.
        for _ in range(PIECES_IN_TURN):
            data = self._received()
            if not data:
                break
            if self.phase is not Phase.LINGERING:
                self._buffer += data
        if was_empty and self._buffer:
            # The request timeout starts at the first byte.
            self.deadline = now + self._limits.request

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
        """Return the request once the buffer holds all of it."""
        if self.phase is Phase.LINGERING:
            return None
        if self._head is None:
            self._head = self._received_head()
        if self._head is None or len(self._buffer) < self._head.content_length:
            return None
        head = self._head
        length = self._head.content_length
        self._head = None
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        return Request(head, body)

    def _received_head(self) -> RequestHead | None:
        # Skip an empty line before a request (RFC 9112, 2.2).
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
