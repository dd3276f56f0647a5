"""Metrics of both ends of the relay."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kuma_sd_redis.layout import Position

if TYPE_CHECKING:
    from prometheus_client.core import Metric


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
        return max((int(position.epoch.partition(".")[0]) for position in self.positions), default=0)

    @property
    def revision(self) -> int:
        """The revisions of all buckets together: equal at a publisher and at an edge that has all it wrote."""
        return sum(position.revision for position in self.positions)


class Meters:
    """Collects readings as metrics, for prometheus_client.

    Args:
        kind: output or source.
        name: the instance's name.
        read: returns the present reading; called in any thread.
    """

    def __init__(self, kind: str, name: str, read: Callable[[], Reading]) -> None:
        self._labels = {"kind": kind, "name": name}
        self._read = read

    def collect(self) -> Iterator["Metric"]:
        """Yield the present values."""
        # Imported late: the caller has already loaded it.
        from prometheus_client.core import Metric  # noqa: PLC0415

        reading = self._read()
        values = [
            ("epoch", "gauge", "The newest epoch, by the fencing token of who began it.", reading.epoch),
            ("revision", "gauge", "The revisions of all buckets together.", reading.revision),
            ("lag_seconds", "gauge", "How long the newest change took from the control plane to here.", reading.lag),
            ("leader", "gauge", "Whether this publisher has the lease.", reading.leader),
            ("sent_bytes", "counter", "Bytes to Redis, without what the protocol adds.", reading.sent),
            ("received_bytes", "counter", "Bytes from Redis, without what the protocol adds.", reading.received),
            ("reloads", "counter", "Buckets that were read, or written, as a whole.", reading.reloads),
        ]
        for name, kind, text, value in values:
            if value is not None:
                metric = Metric(f"kuma_sd_redis_{name}", text, kind)
                ending = "_total" if kind == "counter" else ""
                metric.add_sample(f"kuma_sd_redis_{name}{ending}", self._labels, float(value))
                yield metric
