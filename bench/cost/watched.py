"""The daemon under measurement, seen from outside."""

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
CALM = 0.3
"""For how long next to nothing must happen for a process to be done, in seconds."""


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
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 (the daemon)
                [sys.executable, script, str(theirs), "run", *common, "--web-listen-address=", *flags],
                stderr=log,
                pass_fds=[theirs],
            )
        os.close(theirs)
        self.pid = self._process.pid

    def seconds(self) -> float:
        """Wait until a file is durable; returns how long that took since its response was received."""
        moments = self._until("durable")
        return moments["durable"] - moments["received"]

    def receive(self) -> None:
        """Wait until a response is received."""
        self._until("received")

    def _until(self, what: str) -> dict[str, float]:
        moments: dict[str, float] = {}
        while what not in moments:
            readable, _, _ = select.select([self._moments], [], [], PATIENCE)
            lines = os.read(self._moments, 4096).decode().splitlines() if readable else []
            if not lines:
                raise RuntimeError("the daemon publishes nothing")
            moments |= {name: float(when) for name, when in map(str.split, lines)}
        return moments

    def forget(self) -> None:
        """Forget the moments so far."""
        while select.select([self._moments], [], [], 0)[0]:
            os.read(self._moments, 4096)

    def cpu(self) -> float:
        """Return how much CPU the process used so far, all threads together, in seconds."""
        # The clock of another process, see clock_getcpuclockid(3); /proc counts in hundredths of a second.
        seconds: float = time.clock_gettime((~self.pid << 3) | 2)
        return seconds

    def settle(self) -> float:
        """Wait until it does nothing any more; returns its CPU then."""
        before = -1.0
        while (now := self.cpu()) - before > 0.002 * CALM + 0.002:
            before = now
            time.sleep(CALM)
        return now

    def memory(self) -> float:
        """Return the most memory that it had so far, in MB."""
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())
        assert found
        return int(found[1]) / 1000

    def switches(self) -> int:
        """Return how often its threads were put to sleep and woken."""
        found = []
        for status in Path(f"/proc/{self.pid}/task").glob("*/status"):
            found += re.findall(r"^voluntary_ctxt_switches:\s+(\d+)", status.read_text(), re.MULTILINE)
        return sum(map(int, found))

    def close(self) -> None:
        """End it."""
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
