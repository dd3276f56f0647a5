"""How long something took, over and over: counted in buckets, as Prometheus wants it."""

from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""The upper ends of the buckets; what took longer is in one more."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Observations so far; replaced whole, never changed.

    Args:
        counts: how many fell into each bucket, not cumulated; the last is for what is beyond all.
        total: the sum of all, in seconds.
        last: the last one, in seconds; None before the first.
    """

    counts: tuple[int, ...] = (0,) * (len(SECONDS) + 1)
    total: float = 0.0
    last: float | None = None

    def observe(self, seconds: float) -> "Histogram":
        """Return what it is with one more."""
        place = bisect_left(SECONDS, seconds)
        counts = (*self.counts[:place], self.counts[place] + 1, *self.counts[place + 1 :])
        return Histogram(counts, self.total + seconds, seconds)

    @property
    def cumulated(self) -> list[tuple[str, float]]:
        """How many took at most so long, by the end of the bucket as Prometheus writes it."""
        ends = [*map(str, SECONDS), "+Inf"]
        return [(end, float(count)) for end, count in zip(ends, accumulate(self.counts), strict=True)]
