"""Follow a relay: read the buckets, then apply changes as they arrive."""

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from kuma_sd import Context
from kuma_sd_redis.bucket_reader import BucketReader, jitter
from kuma_sd_redis.connection import Connection, RelayError
from kuma_sd_redis.inbox import Inbox
from kuma_sd_redis.lease import shown_identity
from kuma_sd_redis.listener import Listener

SETTLE = 0.02
"""Wait for further messages after the first, in seconds: one publication changes many buckets."""

PACE = 0.5
"""Minimum time between two snapshots under constant changes, in seconds."""

AGAIN = 0.5
"""Wait before buckets that changed while they were read are read again, in seconds."""


MOVES = 5
"""Number of attempts to learn the slots of a Cluster before that counts as a failure."""


@dataclass(frozen=True)
class Pace:
    """Limits the load of an edge on Redis.

    Args:
        look_interval: how often to see whether a notification was lost, in seconds.
        jitter: over how long edges spread when they must read something again, in seconds.
        timeout: how long Redis may take to answer, in seconds.
    """

    look_interval: float
    jitter: float
    timeout: float


class Follower:
    """Follows a relay until it is closed or Redis is gone, in a thread of its own.

    Args:
        context: the interface to the daemon.
        connection: the connection to Redis; used only by this object.
        buckets: the edge's data from earlier connections.
        pace: limits the load on Redis.
        deliver: called for each change, and once at the beginning.
    """

    def __init__(
        self, context: Context, connection: Connection, buckets: BucketReader, pace: Pace, deliver: Callable[[], None]
    ) -> None:
        self.holder = ""
        self._title = context.title
        self._log = context.log
        self._connection = connection
        self._keys = buckets.keys
        self._buckets = buckets
        self._pace = pace
        self._deliver = deliver
        self._inbox = Inbox()
        self._listeners: list[Listener] = []
        self._closing = threading.Event()
        self._waiting = False
        self._received_before = 0
        self._doubtful: set[int] = set()
        self._looked = 0.0
        self._looked_at_all = 0.0
        self._handed_on = 0.0

    @property
    def last_response(self) -> float:
        """The oldest of the servers' last responses, in seconds of ``time.time()``; 0 before all have responded."""
        return min((listener.last_response for listener in self._listeners), default=0.0)

    @property
    def sent(self) -> int:
        """The number of bytes sent to Redis."""
        return self._connection.sent

    @property
    def received(self) -> int:
        """The number of bytes received."""
        return (
            self._connection.received + self._received_before + sum(listener.received for listener in self._listeners)
        )

    def run(self) -> None:
        """Follow the relay until closed.

        Raises:
            RelayError: Redis is gone.
            FormatError: another version writes there.
        """
        try:
            self._subscribe()
            self._look(self._buckets.numbers, spread=lambda: None)
            self._hand_on()
            while not self._closing.is_set():
                self._turn()
        finally:
            self.close()

    def close(self) -> None:
        """End run(), from any thread."""
        self._closing.set()
        self._inbox.close()
        for listener in self._listeners:
            listener.close()
        self._connection.close()

    def _turn(self) -> None:
        """Wait for messages or for the next check, and handle all messages."""
        began = time.monotonic()
        look = self._looked_at_all + self._pace.look_interval
        if self._doubtful:
            look = min(look, self._looked + AGAIN)
        if self._inbox.wait(max(0.0, look - began)):
            self._closing.wait(max(SETTLE, self._handed_on + PACE - time.monotonic()))
        news = self._inbox.take()
        if self._closing.is_set():
            return
        if news.error:
            raise RelayError(f"the subscription ended: {news.error}")
        doubtful: set[int] = self._doubtful | news.doubtful | self._buckets.apply(news.entries)
        if news.moved:
            self._subscribe_again()
            doubtful.update(self._buckets.numbers)
        elif time.monotonic() >= self._looked_at_all + self._pace.look_interval:
            doubtful.update(self._buckets.numbers)
        if doubtful:
            self._look(doubtful, spread=self._spread)
        if self._buckets.changed:
            self._hand_on()

    def _look(self, numbers: Collection[int], spread: Callable[[], None]) -> None:
        with self._connection.reading():
            self._doubtful = self._buckets.catch_up(self._connection, numbers, spread)
            (holder,) = self._connection.run([("GET", self._keys.lease)])
            self.holder = shown_identity(holder)
        self._looked = time.monotonic()
        # A bucket that stays doubtful must not keep us from looking at the others.
        if len(set(numbers)) == len(self._buckets.numbers):
            self._looked_at_all = self._looked

    def _hand_on(self) -> None:
        missing = len(self._buckets.numbers) - len(self._buckets.positions)
        if missing and not self._waiting:
            self._waiting = True
            self._log.info(
                "waiting for buckets that were never published: is a publisher with this prefix running?",
                missing=missing,
                buckets=len(self._buckets.numbers),
                prefix=self._keys.prefix,
            )
        if not missing:
            self._handed_on = time.monotonic()
            self._deliver()

    def _spread(self) -> None:
        self._closing.wait(jitter(self._pace.jitter))

    def _subscribe(self) -> None:
        for subscription, awaited in self._connection.subscribe(self._keys, self._buckets.numbers):
            listener = Listener(subscription, awaited, self._keys, self._inbox, self._pace.timeout)
            self._listeners.append(listener)
            threading.Thread(target=listener.run, name=f"relay {self._title}", daemon=True).start()
        for listener in self._listeners:
            if not listener.ready(self._pace.timeout):
                error = self._inbox.take().error
                raise RelayError(f"cannot subscribe: {error or 'Redis did not answer in time'}")

    def _subscribe_again(self) -> None:
        """Ask the Cluster again which server has which bucket; while slots move, its servers disagree."""
        self._log.info("buckets moved within the Cluster, subscribing again")
        for left in reversed(range(MOVES)):
            former = self._listeners
            self._listeners = []
            self._inbox = Inbox()
            self._received_before += sum(listener.received for listener in former)
            for listener in former:
                listener.close()
            self._connection.renew()
            try:
                self._subscribe()
            except RelayError:
                if not left or self._closing.wait(AGAIN):
                    raise
            else:
                return
