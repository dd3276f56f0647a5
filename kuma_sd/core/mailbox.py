"""Pass the newest state from thread to thread."""

import threading
from collections.abc import Hashable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """A queue of depth one per sender: the newest item wins, because every item holds the whole state.

    A longer queue would grow while a reader is slow, and give it stale lists. A sender is any hashable value. Where
    some senders are names from the settings, internal senders are tuples, so that they cannot collide with a name.
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
        """Put an item; an earlier item of the same sender that was not taken yet is superseded and counted."""
        with self._changed:
            self.superseded += sender in self._items
            # Taken out first, so that items are ordered by the arrival of each sender's newest item.
            self._items.pop(sender, None)
            self._items[sender] = item
            self._changed.notify_all()

    def take(self, timeout: float | None = None) -> dict[Any, T]:
        """Wait for items and take all of them, by sender, in the order of arrival.

        Args:
            timeout: the maximum wait in seconds; None waits until an item arrives.

        Returns:
            The items; empty after the timeout or when the mailbox is closed.

        Raises:
            BaseException: the error with which the mailbox was closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed, timeout)
            if self._error:
                raise self._error
            if self._closed:
                return {}
            taken = self._items
            self._items = {}
            return taken

    def close(self, error: BaseException | None = None) -> None:
        """Close the mailbox and wake every reader; items are no longer handed out.

        Args:
            error: why the mailbox was closed; every reader raises it.
        """
        with self._changed:
            self._closed = True
            self._error = self._error or error
            self._changed.notify_all()
