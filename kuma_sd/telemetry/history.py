"""Record what each output published in the last hour and day; in memory, of bounded size."""

import itertools
from collections import deque
from collections.abc import Sequence
from itertools import islice

import msgspec

from kuma_sd.core.publication import Publication
from kuma_sd.core.publication_change import Change

FINE, FINE_POINTS = 10.0, 360
"""Step of the history of the last hour, in seconds, and number of steps."""

COARSE, COARSE_POINTS = 300.0, 288
"""Step of the history of the last day, in seconds, and number of steps."""

RECENT = 50
"""Maximum number of recent changes that are listed."""

EXAMPLES = 5
"""Maximum number of dataplanes that are named in a change."""


class Point(msgspec.Struct, frozen=True):
    """The number of groups at the end of a step, and the changes in it.

    Args:
        when: the end of the step, in seconds of ``time.time()``.
        groups: the number of published target groups.
        added: the number of groups added in this step.
        removed: the number removed.
        changed: the number whose labels changed.
    """

    when: float
    groups: int
    added: int = 0
    removed: int = 0
    changed: int = 0


class RecentChange(msgspec.Struct, frozen=True):
    """A published change.

    Args:
        when: the time of the change, in seconds of ``time.time()``.
        output: the instance that published it.
        groups: the number of target groups after the change.
        added: the number of groups added.
        removed: the number removed.
        changed: the number whose labels changed.
        examples: a few of the dataplanes, as MESH/NAME with ``+``, ``-`` or ``~`` in front.
    """

    when: float
    output: str
    groups: int
    added: int
    removed: int
    changed: int
    examples: tuple[str, ...]


class ChangeTotals(msgspec.Struct, frozen=True):
    """Sums of the changes that an output published so far; replaced whole, never changed.

    Changes are counted at publication, so that earlier publications need not be kept for a later comparison.

    Args:
        added: the number of groups added.
        removed: the number removed.
        changed: the number whose labels changed.
        examples: a few of the dataplanes of the last change, as in `RecentChange`.
        began: when counting began, in seconds of ``time.time()``.
    """

    added: int = 0
    removed: int = 0
    changed: int = 0
    examples: tuple[str, ...] = ()
    began: float = 0.0

    def after(self, publication: Publication, before: Publication | None) -> "ChangeTotals":
        """Return the totals after one more publication.

        Args:
            publication: the new publication.
            before: the publication before it; None if it is the first, in which all groups are new.
        """
        # Not compared, since comparing the first with nothing would take longer than any other comparison.
        change = publication.since(before) if before else Change(publication.groups, (), ())
        return ChangeTotals(
            self.added + len(change.added),
            self.removed + len(change.removed),
            self.changed + len(change.changed),
            _examples(change) or self.examples,
            self.began,
        )


class Series:
    """The history of one output."""

    def __init__(self) -> None:
        self._hour: deque[Point] = deque(maxlen=FINE_POINTS)
        self._day: deque[Point] = deque(maxlen=COARSE_POINTS)
        self._pending: list[Point] = []
        self.noted = ChangeTotals()

    @property
    def hour(self) -> Sequence[Point]:
        """The last hour, the oldest first."""
        return tuple(self._hour)

    @property
    def day(self) -> Sequence[Point]:
        """The last day, the oldest first; the last step may be incomplete."""
        present = (_sum(self._pending),) if self._pending else ()
        return (*self._day, *present)

    def add(self, point: Point) -> None:
        """Append a step of FINE seconds."""
        if self._pending and point.when // COARSE > self._pending[0].when // COARSE:
            self._day.append(_sum(self._pending))
            self._pending = []
        # Replaced whole, since other threads read it at any time.
        self._pending = [*self._pending, point]
        self._hour.append(point)


class History:
    """Records what outputs publish. One thread writes, others read."""

    def __init__(self) -> None:
        self._series: dict[str, Series] = {}
        self._recent: deque[RecentChange] = deque(maxlen=RECENT)

    @property
    def outputs(self) -> Sequence[str]:
        """The outputs that have a history."""
        return tuple(self._series)

    @property
    def recent(self) -> Sequence[RecentChange]:
        """The last changes, the newest first."""
        return tuple(reversed(self._recent.copy()))

    def series(self, output: str) -> Series:
        """Return the history of an output; an empty one if it has none."""
        return self._series.get(output, Series())

    def keep_only(self, outputs: Sequence[str]) -> None:
        """Forget the history of other outputs, after a reload."""
        self._series = {name: series for name, series in self._series.items() if name in outputs}

    def note(self, output: str, groups: int, totals: ChangeTotals, published: float, now: float) -> None:
        """Record what an output has published; called at each step, even without a change.

        Args:
            output: the instance's name.
            groups: the number of groups in its last publication.
            totals: its changes so far.
            published: when it published last, in seconds of ``time.time()``.
            now: the current time, in seconds of ``time.time()``.
        """
        series = self._series.get(output)
        if series is None:
            series = Series()
            self._series = {**self._series, output: series}
        # An instance that replaced another one republished the same groups, which is no change.
        before = series.noted if series.noted.began in (0.0, totals.began) else totals
        added, removed = totals.added - before.added, totals.removed - before.removed
        changed = totals.changed - before.changed
        series.noted = totals
        series.add(Point(now, groups, added, removed, changed))
        if added or removed or changed:
            self._recent.append(RecentChange(published, output, groups, added, removed, changed, totals.examples))


def _sum(points: Sequence[Point]) -> Point:
    last = points[-1]
    return Point(
        last.when,
        last.groups,
        sum(point.added for point in points),
        sum(point.removed for point in points),
        sum(point.changed for point in points),
    )


def _examples(change: Change) -> tuple[str, ...]:
    # Removed targets first: operators look for these first.
    parts = (("-", change.removed), ("+", change.added), ("~", change.changed))
    named = (
        f"{sign}{group.key.assignment.mesh}/{group.key.assignment.name}" for sign, groups in parts for group in groups
    )
    return tuple(islice(itertools.chain(named), EXAMPLES))
