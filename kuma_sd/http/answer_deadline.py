"""How long an answer may take: until its body begins, and from then on."""

import http.client
import io
import socket
import time
from typing import Any

BODY_SECONDS = 30.0
"""How often it is looked whether a body goes on."""

BODY_BYTES = 30 * 1024
"""How much of it must have come since the last look, unless it ended: 1 KiB a second."""

_BUFFER = 2**16

_CONTINUE, _SWITCHING_PROTOCOLS, _OK = 100, 101, 200


class Pace:
    """How long one answer may take.

    Until its body begins, it has a deadline. From then on it may take as long as it is large, but it must go on: a
    server that sends a byte now and then would never run into a timeout that counts silence.

    Args:
        timeout: how long the body may be waited for, in seconds.
    """

    def __init__(self, timeout: float) -> None:
        self.in_body = False
        self._deadline = time.monotonic() + timeout
        self._headers_read = False
        self._missing = 0

    def headers_read(self) -> None:
        """Note that what comes from now on is the body."""
        self._headers_read = True

    def time_left(self) -> float:
        """Return how long the next bytes may be waited for, in seconds.

        Raises:
            TimeoutError: not any longer.
        """
        left = self._deadline - time.monotonic()
        if self.in_body and self._missing <= 0:
            # Enough came already, so that only the next look decides.
            left = max(0.0, left) + BODY_SECONDS
        if left <= 0:
            raise TimeoutError
        return left

    def note(self, count: int) -> None:
        """Note that so many bytes came."""
        if self._headers_read and not self.in_body:
            self.in_body = True
            self._deadline, self._missing = 0.0, 0
        now = time.monotonic()
        if self.in_body and self._missing <= 0 and now >= self._deadline:
            self._deadline = now + BODY_SECONDS
            self._missing = BODY_BYTES
        self._missing -= count


class PacedReader(io.RawIOBase):
    """Reads from a socket no longer than a pace allows.

    Args:
        raw: what reads from the socket.
        wire: the socket, whose timeout is set before each read.
        pace: how long the answer may take.
    """

    def __init__(self, raw: io.RawIOBase, wire: socket.socket, pace: Pace) -> None:
        super().__init__()
        self._raw = raw
        self._wire = wire
        self._pace = pace

    def readable(self) -> bool:
        """Tell that it can be read from."""
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int | None:  # type: ignore[override]
        """Read what comes next.

        Raises:
            TimeoutError: nothing came while the pace allowed to wait.
        """
        self._wire.settimeout(self._pace.time_left())
        count = self._raw.readinto(buffer)
        self._pace.note(count or 0)
        return count

    def close(self) -> None:
        """Close what it reads from."""
        self._raw.close()
        super().close()


class PacedResponse(http.client.HTTPResponse):
    """An answer that may not take longer than a pace allows, and may have others before it that announce it.

    Args:
        wire: the socket that it comes from.
        pace: how long it may take.
        *arguments: what the library hands over besides.
        **keywords: likewise.
    """

    def __init__(self, wire: socket.socket, pace: Pace, *arguments: Any, **keywords: Any) -> None:  # noqa: ANN401 (the library's)
        super().__init__(wire, *arguments, **keywords)
        reader: Any = self.fp
        self.fp = io.BufferedReader(PacedReader(reader.detach(), wire, pace), _BUFFER)

    def _read_status(self) -> tuple[str, int, str]:
        # The library passes over 100 Continue, but takes 103 Early Hints for the answer itself.
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc] # (typeshed lacks it)
            if not _CONTINUE < status < _OK or status == _SWITCHING_PROTOCOLS:
                return version, status, reason
            http.client.parse_headers(self.fp)
