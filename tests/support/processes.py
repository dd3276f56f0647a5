"""Programs under test, started as a user would, and ended by their own process id."""

import os
import queue
import signal
import subprocess
import threading
import time
from pathlib import Path

from waiting import PATIENCE


class Process:
    """A running program whose output is read as it comes."""

    def __init__(self, *command: str | Path, **environment: str) -> None:
        self._process = subprocess.Popen(
            [str(part) for part in command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
        )
        self.pid = self._process.pid
        self.lines: list[str] = []
        self._fresh: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def output(self) -> str:
        """All that was printed so far and looked at."""
        return "\n".join(self.lines)

    @property
    def printed(self) -> int:
        """How many lines were printed so far."""
        return len(self.lines) + self._fresh.qsize()

    def wait_for_line(self, text: str, patience: float = PATIENCE) -> str:
        """Wait for a line that holds a text; for so many seconds."""
        deadline = time.monotonic() + patience
        while True:
            try:
                line = self._fresh.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            assert line is not None, f"no line with {text!r} in:\n{self.output}"
            self.lines.append(line)
            if text in line:
                return line

    @property
    def has_ended(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    @property
    def last_words(self) -> str:
        """Its last lines so far and its exit status, for the message of a failure; nothing can be read after it."""
        while self._fresh.qsize() and (line := self._fresh.get()) is not None:
            self.lines.append(line)
        return "\n".join([*self.lines[-20:], f"exit status: {self._process.poll()}"])

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait for its end and return its exit status."""
        status = self._process.wait(timeout)
        while (line := self._fresh.get(timeout=PATIENCE)) is not None:
            self.lines.append(line)
        return status

    def stop(self) -> float:
        """End it by SIGTERM; returns how long that took, in seconds."""
        started = time.monotonic()
        self.signal()
        status = self.wait()
        assert status == 0, f"ended with {status}:\n{self.output}"
        return time.monotonic() - started

    def kill(self) -> None:
        """End it at once if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stdout:
            for line in stdout:
                self._fresh.put(line.rstrip("\n"))
        self._fresh.put(None)
