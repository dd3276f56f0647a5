"""A daemon with a file of settings, which an operator edits, reloads, restarts and tells to accept."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from daemon_process import kuma_sd
from processes import Process

PYTHON_STARTS_WITHIN_SECONDS = 300.0
"""How long a busy machine may take until the daemon says that it has started; it is Python that takes this time.

A start takes a second of CPU time. With `nice 19` beside ten busy processes that took 11 s, with SCHED_IDLE over 18 s.
"""


class Operated:
    """A daemon in a process of its own.

    Args:
        folder: where its settings, its state and its socket are.
        path: the file that it publishes.
        url: the address of its control plane.
        hold: guard-hold, in seconds.
    """

    def __init__(self, folder: Path, path: Path, url: str, hold: float) -> None:
        self._config = folder / "kuma-sd.conf"
        self._own = {"KUMA_SD_STATE_DIR": f"{folder}/state", "KUMA_SD_CONTROL_SOCKET": f"{folder}/control.sock"}
        self._path = path
        self._url = url
        self._hold = hold
        self._name = ""
        self._edits = 0
        self._stack = contextlib.ExitStack()
        self._process: Process | None = None

    @property
    def process(self) -> Process:
        """The present process."""
        assert self._process
        return self._process

    def start(self) -> None:
        """Start it, and wait until it says so."""
        self._write()
        self._process = self._stack.enter_context(kuma_sd("run", "-c", self._config, **self._own))
        self._process.wait_for_line('msg="started"', PYTHON_STARTS_WITHIN_SECONDS)

    def stop(self) -> None:
        """Stop it as an operator does, and expect that it ends well."""
        self.process.stop()

    def close(self) -> None:
        """End it if it still runs."""
        self._stack.close()

    def reload(self) -> None:
        """Change a setting that no target depends on, and wait until it is taken."""
        self._edit()

    def rename(self) -> None:
        """Give its control plane another name, and wait until that is taken."""
        self._name = "west" if self._name == "east" else "east"
        self._edit()

    def accept(self) -> None:
        """Let go of what is held."""
        with kuma_sd("accept", **self._own) as program:
            assert program.wait() == 0, program.output

    def _edit(self) -> None:
        self._edits += 1
        self._write()
        self.process.wait_for_line("reloaded the settings")

    def _write(self) -> None:
        settings = (
            "[kuma-sd]",
            f"cp-address = {self._name and self._name + '='}{self._url}",
            f"guard-hold = {self._hold:g}s",
            f"min-interval = {100 + self._edits}ms",
            "[file_sd]",
            f"path = {self._path}",
            "",
        )
        fresh = self._config.with_suffix(".new")
        fresh.write_text("\n".join(settings))
        fresh.rename(self._config)


@contextlib.contextmanager
def operated(folder: Path, path: Path, url: str, hold: float) -> Iterator[Operated]:
    """Run a daemon until the block ends."""
    folder.mkdir()
    daemon = Operated(folder, path, url, hold)
    with contextlib.closing(daemon):
        daemon.start()
        yield daemon
