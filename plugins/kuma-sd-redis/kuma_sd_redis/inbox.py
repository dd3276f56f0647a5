"""Queue received messages from all servers until they are processed."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

MOST_BYTES = 2**24
"""Maximum size of the queued messages, in bytes; beyond it they are dropped, and the buckets are read again."""


@dataclass
class News:
    """The received messages.

    Args:
        entries: the entries received for each bucket, in order.
        doubtful: the buckets whose entries were dropped because there were too many.
        moved: whether a bucket moved to another server of the Cluster.
        error: why no more messages will be received.
    """

    entries: dict[int, list[bytes]] = field(default_factory=dict)
    doubtful: set[int] = field(default_factory=set)
    moved: bool = False
    error: Exception | None = None

    def __bool__(self) -> bool:
        return bool(self.entries or self.doubtful or self.moved or self.error)


class Inbox:
    """The queue between listeners and follower: it drains what Redis would not keep while the follower reads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._news = News()
        self._size = 0
        self._closed = False

    def put(self, bucket: int, data: bytes) -> None:
        """Add an entry."""

        def add(news: News) -> None:
            if self._size > MOST_BYTES:
                news.doubtful |= news.entries.keys() | {bucket}
                news.entries.clear()
                self._size = 0
            else:
                news.entries.setdefault(bucket, []).append(data)
                self._size += len(data)

        self._change(add)

    def move(self) -> None:
        """Record that a bucket moved."""
        self._change(lambda news: setattr(news, "moved", True))

    def fail(self, error: Exception) -> None:
        """Record that a listener failed."""
        self._change(lambda news: setattr(news, "error", news.error or error))

    def close(self) -> None:
        """Wake the reader; no more messages are delivered."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def wait(self, timeout: float) -> bool:
        """Wait for messages; returns whether there are any."""
        with self._changed:
            self._changed.wait_for(lambda: self._news or self._closed, timeout)
            return bool(self._news)

    def take(self) -> News:
        """Take all messages."""
        with self._changed:
            taken = self._news
            self._news = News()
            self._size = 0
            return taken

    def _change(self, change: Callable[[News], None]) -> None:
        with self._changed:
            change(self._news)
            self._changed.notify_all()
