"""Call an output's `start()` in a thread of its own, so that whoever waits for one that blocks can go on."""

import threading
import time
from collections.abc import Callable

from kuma_sd.core.logger import Logger
from kuma_sd.plugin.interfaces import Output

_log = Logger(__name__)

POLL_SECONDS = 0.1
"""Interval between checks whether to give up waiting, in seconds."""


class OutputStart:
    """One call of an output's `start()`, which begins at once.

    Args:
        name: the instance's name in the settings.
        output: the output.
    """

    def __init__(self, name: str, output: Output) -> None:
        self.name = name
        self.output = output
        self.began = time.time()
        self.began_at = time.monotonic()
        self.error: BaseException | None = None
        self._reported = False
        self._ended = threading.Event()
        self._abandoned = threading.Event()
        # A daemon thread, because a plugin may block in a call that cannot be interrupted.
        threading.Thread(target=self._run, name=f"start of output {name}", daemon=True).start()

    @property
    def ended(self) -> bool:
        """Whether `start()` has returned or raised; what it raised is in ``error``."""
        return self._ended.is_set()

    @property
    def succeeded(self) -> bool:
        """Whether `start()` has returned."""
        return self.ended and self.error is None

    def check(self) -> None:
        """Raise what `start()` raised, if it did."""
        if self.error:
            raise self.error

    def wait(self, give_up: Callable[[], bool]) -> bool:
        """Wait until `start()` has ended, and return whether it has.

        Args:
            give_up: asked while it waits; ends the wait.
        """
        while not self._ended.wait(POLL_SECONDS):
            if give_up():
                break
        return self.ended

    def warn(self) -> None:
        """Warn, once, that the output is still starting."""
        if not self._reported:
            self._reported = True
            _log.warning("the output is still starting", output=self.name)

    def abandon(self) -> None:
        """Close the output once `start()` has returned, so that it keeps nothing that it claimed."""
        self._abandoned.set()
        if self.succeeded:
            close_output(self.name, self.output)

    def _run(self) -> None:
        try:
            self.output.start()
        except BaseException as error:  # noqa: BLE001 (whoever waits for it handles it)
            self.error = error
        self._ended.set()
        if self._abandoned.is_set() and self.succeeded:
            close_output(self.name, self.output)


def close_output(name: str, output: Output) -> None:
    """Close an output, and log what it raises."""
    try:
        output.close()
    except (Exception, SystemExit) as error:  # noqa: BLE001 (the boundary to plugins; what is published stays)
        _log.error("an output could not be closed", output=name, error=error)
