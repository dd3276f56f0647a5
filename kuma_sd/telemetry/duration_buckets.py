"""Count durations in buckets, as in a Prometheus histogram."""

from bisect import bisect_left
from itertools import accumulate

import msgspec

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the buckets, in seconds; one more bucket holds longer durations."""


class Histogram(msgspec.Struct, frozen=True):
    """Counts the observations so far; replaced whole, never changed.

    Args:
        counts: the number of observations in each bucket, not cumulated; the last bucket has no upper bound.
        total: the sum of all observations, in seconds.
        last: the last observation, in seconds; None before the first.
    """

    counts: tuple[int, ...] = (0,) * (len(SECONDS) + 1)
    total: float = 0.0
    last: float | None = None

    def observe(self, seconds: float) -> "Histogram":
        """Return the histogram with one more observation."""
        place = bisect_left(SECONDS, seconds)
        counts = (*self.counts[:place], self.counts[place] + 1, *self.counts[place + 1 :])
        return Histogram(counts, self.total + seconds, seconds)

    @property
    def cumulated(self) -> list[tuple[str, float]]:
        """The cumulated counts, each with the upper bound of its bucket as Prometheus writes it."""
        ends = [*map(str, SECONDS), "+Inf"]
        return [(end, float(count)) for end, count in zip(ends, accumulate(self.counts), strict=True)]
