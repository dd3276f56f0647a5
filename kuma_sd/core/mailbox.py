"""The queue between threads."""

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """A queue of depth one per sender: the newest item wins, because every item holds the whole state.

    A longer queue would grow behind a slow reader and hand it stale lists.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: dict[str, T] = {}
        self._closed = False
        self.superseded = 0

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self._closed

    def put(self, sender: str, item: T) -> None:
        """Leave an item; one of the same sender that nobody took yet is superseded and counted."""
        with self._changed:
            self.superseded += sender in self._items
            self._items[sender] = item
            self._changed.notify_all()

    def take(self, timeout: float | None = None) -> dict[str, T]:
        """Wait for items and take all that are new, by sender.

        Args:
            timeout: the longest wait in seconds; None waits until something comes.

        Returns:
            Nothing when the time is over or the mailbox is closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed, timeout)
            if self._closed:
                return {}
            taken, self._items = self._items, {}
            return taken

    def close(self) -> None:
        """Wake every reader; from now on nothing is handed out."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
