"""What was heard and not looked at yet, from all servers."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

MOST_BYTES = 2**24
"""How much is kept before it is forgotten, and read again instead."""


@dataclass
class News:
    """What was heard.

    Args:
        entries: what was sent for each bucket, in order.
        doubtful: buckets whose news were too many to keep.
        moved: whether a bucket went to another server of the Cluster.
        error: why nothing will be heard any more.
    """

    entries: dict[int, list[bytes]] = field(default_factory=dict)
    doubtful: set[int] = field(default_factory=set)
    moved: bool = False
    error: Exception | None = None

    def __bool__(self) -> bool:
        return bool(self.entries or self.doubtful or self.moved or self.error)


class Inbox:
    """Between those who listen and the one who reads: while he reads, it drains what Redis would not keep for long."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._news = News()
        self._size = 0
        self._closed = False

    def put(self, bucket: int, data: bytes) -> None:
        """Leave an entry."""

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
        """Tell that a bucket moved."""
        self._change(lambda news: setattr(news, "moved", True))

    def fail(self, error: Exception) -> None:
        """Tell that somebody hears nothing any more."""
        self._change(lambda news: setattr(news, "error", news.error or error))

    def close(self) -> None:
        """Wake the reader; from now on there are no news."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def wait(self, timeout: float) -> bool:
        """Wait until there are news; returns whether there are."""
        with self._changed:
            self._changed.wait_for(lambda: self._news or self._closed, timeout)
            return bool(self._news)

    def take(self) -> News:
        """Take all there are."""
        with self._changed:
            taken, self._news, self._size = self._news, News(), 0
            return taken

    def _change(self, change: Callable[[News], None]) -> None:
        with self._changed:
            change(self._news)
            self._changed.notify_all()
