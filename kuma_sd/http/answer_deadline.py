"""Limit how long a response may take: a deadline until its body begins, a minimum rate afterwards."""

import http.client
import io
import socket
import time
from typing import Any

BODY_SECONDS = 30.0
"""Interval between two checks of a body's progress, in seconds."""

BODY_BYTES = 30 * 1024
"""Minimum number of bytes between two checks, unless the body ended: 1 KiB a second."""

_BUFFER = 2**16

_CONTINUE, _SWITCHING_PROTOCOLS, _OK = 100, 101, 200


class Pace:
    """The time limits of one response.

    A deadline applies until the body begins. After that a minimum rate applies instead, so that large bodies may take
    long. A timeout on silence alone would never stop a server that sends one byte now and then.

    Args:
        timeout: how long to wait for the body to begin, in seconds.
    """

    def __init__(self, timeout: float) -> None:
        self.in_body = False
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
        """Record the number of bytes received."""
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
    """Reads from a socket within the time limits of a response.

    Args:
        raw: the socket's raw stream.
        wire: the socket, whose timeout is set before each read.
        pace: how long the answer may take.
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
    """A response with time limits; informational (1xx) responses before it are skipped.

    Args:
        wire: the socket to read from.
        pace: the time limits.
        *arguments: further positional arguments of http.client.
        **keywords: further keyword arguments of http.client.
    """

    def __init__(self, wire: socket.socket, pace: Pace, *arguments: Any, **keywords: Any) -> None:  # noqa: ANN401 (the library's)
        super().__init__(wire, *arguments, **keywords)
        reader: Any = self.fp
        self.fp = io.BufferedReader(PacedReader(reader.detach(), wire, pace), _BUFFER)

    def _read_status(self) -> tuple[str, int, str]:
        # http.client skips 100 Continue, but returns 103 Early Hints as the final response.
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc] # (typeshed lacks it)
            if not _CONTINUE < status < _OK or status == _SWITCHING_PROTOCOLS:
                return version, status, reason
            http.client.parse_headers(self.fp)
