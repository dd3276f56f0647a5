"""A process of another program that can be frozen, thawed and killed by its own process id."""

import signal
import subprocess
from typing import AnyStr, Generic


class Killable(Generic[AnyStr]):
    """Owns a process that may be started anew; subclasses set ``_process`` when they start one."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[AnyStr] | None = None

    def signal(self, number: signal.Signals) -> None:
        """Send its process a signal: SIGSTOP freezes it, SIGCONT thaws it."""
        assert self._process
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it immediately, as kill -9 does."""
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._process = None
