"""Limit a response: how long it may take, and how much it may send besides its content."""

import http.client
import io
import socket
import time
from typing import Any

BODY_SECONDS = 30.0
"""Interval between two checks of a body's progress, in seconds."""

BODY_BYTES = 30 * 1024
"""Minimum number of bytes between two checks, unless the body ended: 1 KiB a second."""

OVERHEAD_BYTES = 2**21
"""Maximum number of bytes besides the content, in addition to as many as the content has: heads, and what is between
chunks. A mebibyte of the content may be read that is not counted yet."""

MOST_INTERIM = 10
"""Maximum number of informational (1xx) responses before a response."""

_BUFFER = 2**16

_CONTINUE, _SWITCHING_PROTOCOLS, _OK = 100, 101, 200


class EndlessError(http.client.HTTPException):
    """A response has far more around its content than any server needs."""


class Pace:
    """The limits of one response.

    A deadline applies until the body begins. After that a minimum rate applies instead, so that large bodies may take
    long. A timeout on silence alone would never stop a server that sends one byte now and then, and a limit for the
    content alone would never stop one that sends headers, chunk extensions or trailers without end.

    Args:
        timeout: how long to wait for the body to begin, in seconds.
    """

    def __init__(self, timeout: float) -> None:
        self.in_body = False
        self.content = 0
        """The number of bytes of content so far."""
        self._received = 0
        self._deadline = time.monotonic() + timeout
        self._headers_read = False
        self._missing = 0

    def headers_read(self) -> None:
        """Record that the body begins."""
        self._headers_read = True

    def time_left(self) -> float:
        """Return how long to wait for the next bytes, in seconds.

        Raises:
            TimeoutError: the time is over.
        """
        left = self._deadline - time.monotonic()
        if self.in_body and self._missing <= 0:
            # The minimum for this interval has arrived; the next check decides.
            left = max(0.0, left) + BODY_SECONDS
        if left <= 0:
            raise TimeoutError
        return left

    def note(self, count: int) -> None:
        """Record the number of bytes received.

        Raises:
            EndlessError: these are too many for the content so far.
        """
        self._received += count
        if self._received > 2 * self.content + OVERHEAD_BYTES:
            raise EndlessError(
                "its headers do not end" if not self.in_body else "it sends more between chunks than in them"
            )
        if self._headers_read and not self.in_body:
            self.in_body = True
            self._deadline = 0.0
            self._missing = 0
        now = time.monotonic()
        if self.in_body and self._missing <= 0 and now >= self._deadline:
            self._deadline = now + BODY_SECONDS
            self._missing = BODY_BYTES
        self._missing -= count


class PacedReader(io.RawIOBase):
    """Reads from a socket within the limits of a response.

    Args:
        raw: the socket's raw stream.
        wire: the socket, whose timeout is set before each read.
        pace: the limits.
    """

    def __init__(self, raw: io.RawIOBase, wire: socket.socket, pace: Pace) -> None:
        super().__init__()
        self._raw = raw
        self._wire = wire
        self._pace = pace

    def readable(self) -> bool:
        """Return true: the stream is readable."""
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int | None:  # type: ignore[override]
        """Read the next bytes into a buffer.

        Raises:
            TimeoutError: a time limit was exceeded.
            EndlessError: the response has too much besides its content.
        """
        self._wire.settimeout(self._pace.time_left())
        count = self._raw.readinto(buffer)
        self._pace.note(count or 0)
        return count

    def close(self) -> None:
        """Close the raw stream."""
        self._raw.close()
        super().close()


class PacedResponse(http.client.HTTPResponse):
    """A response with limits; a few informational (1xx) responses before it are skipped.

    Args:
        wire: the socket to read from.
        pace: the limits.
        *arguments: further positional arguments of http.client.
        **keywords: further keyword arguments of http.client.
    """

    def __init__(self, wire: socket.socket, pace: Pace, *arguments: Any, **keywords: Any) -> None:  # noqa: ANN401 (the library's)
        super().__init__(wire, *arguments, **keywords)
        reader: Any = self.fp
        self.fp = io.BufferedReader(PacedReader(reader.detach(), wire, pace), _BUFFER)

    def _read_status(self) -> tuple[str, int, str]:
        # http.client skips 100 Continue without end, and returns 103 Early Hints as the final response.
        for _ in range(MOST_INTERIM + 1):
            version, status, reason = super()._read_status()  # type: ignore[misc] # (typeshed lacks it)
            if not _CONTINUE <= status < _OK or status == _SWITCHING_PROTOCOLS:
                return version, status, reason
            http.client.parse_headers(self.fp)
        raise EndlessError(f"it sends more than {MOST_INTERIM} interim responses (HTTP status 1xx) and no answer")
