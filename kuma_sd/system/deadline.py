"""A deadline for what can only be cut from another thread."""

import threading
import time
from collections.abc import Callable


class Deadline:
    """Calls a function when its time has come, in a thread of its own.

    Args:
        name: the name of the thread.
        act: what to call, once for each time that is set.
    """

    def __init__(self, name: str, act: Callable[[], None]) -> None:
        self._name = name
        self._act = act
        self._changed = threading.Condition()
        self._at: float | None = None
        self._closed = False
        self._thread: threading.Thread | None = None

    def set(self, seconds: float | None) -> None:
        """Act in so many seconds from now, and at no other time; with None, never. Any thread may call this."""
        with self._changed:
            self._at = None if seconds is None else time.monotonic() + seconds
            self._changed.notify()
            if seconds is not None and self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Act no more, and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self) -> None:
        while self._wait():
            self._act()

    def _wait(self) -> bool:
        """Wait until it is time to act; false when closed."""
        with self._changed:
            while not self._closed:
                left = None if self._at is None else self._at - time.monotonic()
                if left is not None and left <= 0:
                    self._at = None
                    return True
                self._changed.wait(left)
            return False
