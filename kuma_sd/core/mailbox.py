"""The queue between threads."""

import threading
from collections.abc import Hashable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """A queue of depth one per sender: the newest item wins, because every item holds the whole state.

    A longer queue would grow behind a slow reader and hand it stale lists. A sender is anything that has a hash; where
    users choose some of the names, senders of our own are tuples, so that no name collides with them.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: dict[Any, T] = {}
        self._closed = False
        self._error: BaseException | None = None
        self.superseded = 0

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self._closed

    def put(self, sender: Hashable, item: T) -> None:
        """Leave an item; one of the same sender that nobody took yet is superseded and counted."""
        with self._changed:
            self.superseded += sender in self._items
            # Taken out first, so that items lie in the order in which the newest of each sender came.
            self._items.pop(sender, None)
            self._items[sender] = item
            self._changed.notify_all()

    def take(self, timeout: float | None = None) -> dict[Any, T]:
        """Wait for items and take all that are new, by sender, in the order in which they came.

        Args:
            timeout: the longest wait in seconds; None waits until something comes.

        Returns:
            Nothing when the time is over or the mailbox is closed.

        Raises:
            BaseException: the error with which the mailbox was closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed, timeout)
            if self._error:
                raise self._error
            if self._closed:
                return {}
            taken, self._items = self._items, {}
            return taken

    def close(self, error: BaseException | None = None) -> None:
        """Wake every reader; from now on nothing is handed out.

        Args:
            error: why there is nothing more; every reader raises it.
        """
        with self._changed:
            self._closed = True
            self._error = self._error or error
            self._changed.notify_all()
