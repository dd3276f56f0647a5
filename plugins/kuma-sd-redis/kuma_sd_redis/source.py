"""The source ``redis://``: follow a relay like a control plane."""

import threading
import time
from collections.abc import Iterator, Mapping

from kuma_sd import Context, KumaSDError, Mailbox, Snapshot, SourceError, SourceStatus
from kuma_sd_redis.access import Access
from kuma_sd_redis.address import address_of
from kuma_sd_redis.bucket_reader import BucketReader
from kuma_sd_redis.connection import Connection
from kuma_sd_redis.follower import Follower, Pace
from kuma_sd_redis.layout import BUCKETS, Keys
from kuma_sd_redis.meters import Reading, meters
from kuma_sd_redis.options import RedisSourceOptions

SENDER = "follower"


class RedisSource:
    """Follows a relay.

    All communication with Redis runs in its own thread, so that close() ends the iteration immediately, even during a
    name lookup or a connection attempt, which cannot be interrupted.

    Args:
        options: the options of the source.
        context: the interface to the daemon; its address is that of the relay.

    Raises:
        ConfigError: the address or the options cannot be used.
    """

    def __init__(self, options: RedisSourceOptions, context: Context) -> None:
        self._address = address_of(context.address)
        self._context = context
        self._keys = Keys(options.relay_prefix)
        self._access = Access.of(options)
        self._pace = Pace(options.relay_look_interval, options.relay_jitter, options.relay_timeout)
        # Kept across connections, so that a reconnect reads only what changed.
        self._buckets = BucketReader(context.name, self._keys, self._address.buckets)
        self._follower: Follower | None = None
        self._snapshots: Mailbox[Snapshot] | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._last_response: float | None = None
        self._contact: float | None = None
        self._lag: float | None = None
        self._counted = [0, 0]
        # Refuses unusable options now.
        Connection(self._address, self._access)
        context.register(meters("source", context.name, self._read))
        context.report(self._facts)

    @property
    def status(self) -> SourceStatus:
        """The current state; connected while Redis responds and the subscription holds."""
        follower = self._follower
        last_response = (follower and follower.last_response) or self._last_response
        which = f"{len(self._buckets.numbers)} of {BUCKETS} buckets of {self._keys.prefix}"
        return SourceStatus(
            connected=bool(follower and follower.last_response),
            last_response=last_response,
            protocol="Redis" if follower else "",
            why=f"following {which}",
            contact=self._contact,
        )

    def __iter__(self) -> Iterator[Snapshot]:
        """Connect and yield a snapshot whenever something changed."""
        snapshots, connection = Mailbox[Snapshot](), Connection(self._address, self._access)
        connected = time.monotonic()

        def deliver() -> None:
            assignments, now = self._buckets.assignments(), time.time()
            self._lag = now - self._buckets.newest if self._buckets.newest else None
            snapshots.put(SENDER, Snapshot(self._context.name, assignments, now, connected))

        name = f"follow {self._context.title}"
        follower = Follower(self._context, connection, self._buckets, self._pace, deliver)
        self._begin(follower, snapshots)
        threading.Thread(target=_follow, args=(follower, snapshots), name=name, daemon=True).start()
        try:
            while taken := snapshots.take():
                snapshot = taken.pop(SENDER)
                yield snapshot
                # Free this snapshot while waiting for the next one.
                del snapshot
        except KumaSDError as error:
            raise SourceError(str(error)) from error
        finally:
            self._end(follower, connection)

    def close(self) -> None:
        """End the iteration immediately; called from any thread."""
        with self._lock:
            self._closed = True
            if self._snapshots and self._follower:
                self._snapshots.close()
                self._follower.close()

    def _begin(self, follower: Follower, snapshots: Mailbox[Snapshot]) -> None:
        with self._lock:
            if self._closed:
                raise SourceError("the source was closed")
            self._follower = follower
            self._snapshots = snapshots

    def _end(self, follower: Follower, connection: Connection) -> None:
        follower.close()
        with self._lock:
            self._last_response = follower.last_response or self._last_response
            self._contact = time.monotonic() if follower.last_response else self._contact
            self._counted = [self._counted[0] + connection.sent, self._counted[1] + follower.received]
            self._follower = self._snapshots = None

    def _read(self) -> Reading:
        follower, (sent, received) = self._follower, self._counted
        if follower:
            sent, received = sent + follower.sent, received + follower.received
        return Reading(list(self._buckets.positions.values()), self._lag, sent, received, self._buckets.reloads)

    def _facts(self) -> Mapping[str, str]:
        reading, follower = self._read(), self._follower
        wanted = len(self._buckets.numbers)
        lag = "none came yet" if self._lag is None else f"{self._lag:.1f} s behind the control plane"
        return {
            "relay": str(self._address),
            "buckets": f"{len(self._buckets.positions)} read of {wanted}, {len(self._buckets.unpublished)} not there",
            "leader": (follower and follower.holder) or "none",
            "newest change": lag,
            "epoch": str(reading.epoch),
            "revision": str(reading.revision),
        }


def _follow(follower: Follower, snapshots: Mailbox[Snapshot]) -> None:
    try:
        follower.run()
    except BaseException as error:  # noqa: BLE001 (raised again by the iterating thread)
        snapshots.close(error)
    else:
        snapshots.close()
