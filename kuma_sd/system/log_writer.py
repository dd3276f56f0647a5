"""Write the log from a separate thread, because writing to a full pipe without a reader blocks."""

import contextlib
import signal
import threading
from collections import deque
from collections.abc import Callable
from typing import TextIO

MOST_CHARACTERS = 2**20
"""Maximum size of the queue; further lines are dropped and counted."""


class LogWriter:
    """A stream whose `write` never blocks; a thread writes the queued lines.

    Args:
        stream: the underlying stream.
        describe_loss: returns a log line with the number of lost lines.
    """

    def __init__(self, stream: TextIO, describe_loss: Callable[[int], str]) -> None:
        self._stream = stream
        self._describe_loss = describe_loss
        self._lines: deque[str] = deque()
        self._waiting = 0
        self._lost = 0
        self._writing = False
        self._changed = threading.Condition()

    def start(self) -> None:
        """Start the thread, with signals blocked, because other threads wait for them."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            threading.Thread(target=self._run, name="log", daemon=True).start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def fileno(self) -> int:
        """Return the descriptor of the stream."""
        return self._stream.fileno()

    def write(self, line: str) -> None:
        """Queue a line."""
        with self._changed:
            if self._waiting + len(line) > MOST_CHARACTERS:
                self._lost += 1
                return
            self._lines.append(line)
            self._waiting += len(line)
            self._changed.notify_all()

    def flush(self) -> None:
        """Do nothing: logging does not wait."""

    def drain(self, timeout: float) -> None:
        """Wait until the queue is written, at most this many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._lines or self._lost or self._writing), timeout)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines or self._lost)
                lines = self._lines
                self._lines = deque()
                lost = self._lost
                self._lost = 0
                self._writing = True
            text = "".join(lines)
            if lost:
                text += self._describe_loss(lost)
            self._hand_on(text)
            with self._changed:
                self._waiting -= sum(map(len, lines))
                self._writing = False
                self._changed.notify_all()

    def _hand_on(self, text: str) -> None:
        # Continue after a broken pipe or a closed stream.
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()
