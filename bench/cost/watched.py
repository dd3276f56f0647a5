"""Observe a running daemon from outside."""

import contextlib
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

PATIENCE = 300.0
CALM = 1.0
"""A process is done once it was idle for this many seconds; a busy machine may let it wait for some tenths of one."""


def cpu(pid: int) -> float:
    """Return how much CPU a process used so far, all threads together, in seconds."""
    # The clock of another process, see clock_getcpuclockid(3); /proc counts in hundredths of a second.
    seconds: float = time.clock_gettime((~pid << 3) | 2)
    return seconds


class Watched:
    """A running daemon.

    Args:
        folder: where its files are.
        flags: its arguments.
    """

    def __init__(self, folder: Path, flags: Sequence[str]) -> None:
        self._moments, theirs = os.pipe()
        script = str(Path(__file__).with_name("timed.py"))
        common = [f"--state-dir={folder / 'state'}", f"--control-socket={folder / 'control.sock'}"]
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 (the daemon)
                [sys.executable, script, str(theirs), "run", *common, "--web-listen-address=", *flags],
                stderr=log,
                pass_fds=[theirs],
            )
        os.close(theirs)
        self.pid = self._process.pid

    def until(self, what: str) -> dict[str, float]:
        """Wait for a moment.

        Args:
            what: received, when a response is there, or durable, when its file is.

        Returns:
            All moments on the way there, by `time.monotonic()`; asked is when the response was asked for.
        """
        moments: dict[str, float] = {}
        while what not in moments:
            readable, _, _ = select.select([self._moments], [], [], PATIENCE)
            lines = os.read(self._moments, 4096).decode().splitlines() if readable else []
            if not lines:
                raise RuntimeError(f"nothing was {what}; the daemon's log:\n{self._log.read_text()[-1000:]}")
            for name, when in map(str.split, lines):
                # The next response is soon asked for.
                if name != "asked" or "received" not in moments:
                    moments[name] = float(when)
        return moments

    def forget(self) -> None:
        """Discard the recorded moments."""
        while select.select([self._moments], [], [], 0)[0]:
            os.read(self._moments, 4096)

    def settle(self) -> float:
        """Wait until it is idle; return its CPU time."""
        before = -1.0
        while (now := cpu(self.pid)) - before > 0.002 * CALM + 0.002:
            before = now
            time.sleep(CALM)
        return now

    def memory(self) -> float:
        """Return the most memory that it had so far, in MB."""
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())
        assert found
        return int(found[1]) / 1000

    def switches(self) -> dict[tuple[str, str], int]:
        """Return how often each thread was put to sleep and woken, by its number and its name."""
        found = {}
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            output = re.search(r"^voluntary_ctxt_switches:\s+(\d+)", (task / "status").read_text(), re.MULTILINE)
            assert output
            found[task.name, (task / "comm").read_text().strip()] = int(output[1])
        return found

    def close(self) -> None:
        """Stop the daemon."""
        self._process.kill()
        self._process.wait()
        os.close(self._moments)


@contextlib.contextmanager
def watching(folder: Path, *flags: str) -> Iterator[Watched]:
    """Run a daemon while the block runs."""
    watched = Watched(folder, flags)
    try:
        yield watched
    finally:
        watched.close()
