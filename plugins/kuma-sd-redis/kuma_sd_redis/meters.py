"""Metrics of both ends of the relay."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kuma_sd import Meters, Metric
from kuma_sd_redis.layout import Position

# Redis's integers have no more digits.
_TOKEN = re.compile("[0-9]{1,19}(?![0-9])")


@dataclass(frozen=True)
class Reading:
    """The state of one end of a relay.

    Args:
        positions: the positions of its buckets.
        lag: the time that the newest change took from the control plane to here, in seconds; None before the first.
        sent: the number of bytes sent to Redis, without protocol overhead.
        received: the number of bytes received from Redis, without protocol overhead.
        reloads: the number of buckets that were read, or written, as a whole.
        leader: whether it publishes; None at an edge.
    """

    positions: Iterable[Position]
    lag: float | None
    sent: int
    received: int
    reloads: int
    leader: bool | None = None

    @property
    def epoch(self) -> int:
        """The newest epoch, by the fencing token of who began it."""
        tokens = (_TOKEN.match(position.epoch) for position in self.positions)
        return max((int(token[0]) for token in tokens if token), default=0)

    @property
    def revision(self) -> int:
        """The revisions of all buckets together: equal at a publisher and at an edge that has all it wrote."""
        return sum(position.revision for position in self.positions)


METRICS: tuple[Metric[Reading], ...] = (
    Metric("redis_epoch", "The newest epoch, by the fencing token of who began it.", lambda reading: reading.epoch),
    Metric("redis_revision", "The revisions of all buckets together.", lambda reading: reading.revision),
    Metric(
        "redis_lag_seconds",
        "How long the newest change took from the control plane to here.",
        lambda reading: reading.lag,
    ),
    Metric("redis_leader", "Whether this publisher has the lease.", lambda reading: reading.leader),
    Metric("redis_sent_bytes_total", "Bytes to Redis, without what the protocol adds.", lambda reading: reading.sent),
    Metric(
        "redis_received_bytes_total",
        "Bytes from Redis, without what the protocol adds.",
        lambda reading: reading.received,
    ),
    Metric("redis_reloads_total", "Buckets that were read, or written, as a whole.", lambda reading: reading.reloads),
)


def meters(kind: str, name: str, read: Callable[[], Reading]) -> Meters[Reading]:
    """Return the collector of one end.

    Args:
        kind: output or source.
        name: the instance's name.
        read: returns the present reading; called in any thread.
    """
    return Meters(METRICS, {"kind": kind, "name": name}, read)
