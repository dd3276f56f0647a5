"""A deadline for blocking calls that only another thread can end."""

import threading
import time
from collections.abc import Callable


class Deadline:
    """Calls a function when the deadline expires, in its own thread.

    Args:
        name: the name of the thread.
        act: the function, called once for each deadline.
    """

    def __init__(self, name: str, act: Callable[[], None]) -> None:
        self._name = name
        self._act = act
        self._changed = threading.Condition()
        self._at: float | None = None
        self._closed = False
        self._thread: threading.Thread | None = None

    def set(self, seconds: float | None) -> None:
        """Replace the deadline by one in this many seconds; None for no deadline. Safe to call from any thread."""
        with self._changed:
            self._at = None if seconds is None else time.monotonic() + seconds
            self._changed.notify()
            if seconds is not None and self._thread is None and not self._closed:
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                thread.start()
                self._thread = thread

    def close(self) -> None:
        """Cancel the deadline and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self) -> None:
        while self._wait():
            self._act()

    def _wait(self) -> bool:
        """Wait for the deadline; return false when closed."""
        with self._changed:
            while not self._closed:
                left = None if self._at is None else self._at - time.monotonic()
                if left is not None and left <= 0:
                    self._at = None
                    return True
                self._changed.wait(left)
            return False
