"""What each output published over the last hour and day; kept in memory, and bounded."""

import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from kuma_sd.core.publication import Change, Publication

FINE, FINE_POINTS = 10.0, 360
"""An hour, in steps of seconds."""

COARSE, COARSE_POINTS = 300.0, 288
"""A day, likewise."""

RECENT = 50
"""How many changes are told one by one."""

EXAMPLES = 5
"""How many dataplanes of a change are named."""


@dataclass(frozen=True, slots=True)
class Point:
    """What was so at the end of a step, and what happened in it.

    Args:
        when: the end of the step, in seconds of ``time.time()``.
        groups: how many target groups were published.
        added: how many came in this step.
        removed: how many went.
        changed: how many have other labels.
    """

    when: float
    groups: int
    added: int = 0
    removed: int = 0
    changed: int = 0


@dataclass(frozen=True, slots=True)
class RecentChange:
    """A change that was published.

    Args:
        when: when it was, in seconds of ``time.time()``.
        output: the instance that published it.
        groups: how many target groups there were after it.
        added: how many came.
        removed: how many went.
        changed: how many have other labels.
        examples: a few of the dataplanes, as MESH/NAME with ``+``, ``-`` or ``~`` in front.
    """

    when: float
    output: str
    groups: int
    added: int
    removed: int
    changed: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChangeTotals:
    """How much the publications of an output changed so far; replaced whole, never changed.

    Counted when something is published, so that nobody has to keep what was published before, to compare it later.

    Args:
        added: how many groups came.
        removed: how many went.
        changed: how many got other labels.
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
            publication: what was published.
            before: what was published before; None if it is the first, which is all new.
        """
        # Comparing the first with nothing would take longer than all others.
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
        """The last day, the oldest first; its last point may be of a step that is not over."""
        present = (_sum(self._pending),) if self._pending else ()
        return (*self._day, *present)

    def add(self, point: Point) -> None:
        """Append a step of FINE seconds."""
        if self._pending and point.when // COARSE > self._pending[0].when // COARSE:
            self._day.append(_sum(self._pending))
            self._pending = []
        # Replaced whole, for others read it at any time.
        self._pending = [*self._pending, point]
        self._hour.append(point)


class History:
    """Follows what outputs publish. One thread notes, others read."""

    def __init__(self) -> None:
        self._series: dict[str, Series] = {}
        self._recent: deque[RecentChange] = deque(maxlen=RECENT)

    @property
    def outputs(self) -> Sequence[str]:
        """The outputs that there is a history of."""
        return tuple(self._series)

    @property
    def recent(self) -> Sequence[RecentChange]:
        """The last changes, the newest first."""
        return tuple(reversed(self._recent.copy()))

    def series(self, output: str) -> Series:
        """Return the history of an output; empty if there is none."""
        return self._series.get(output, Series())

    def keep_only(self, outputs: Sequence[str]) -> None:
        """Forget the history of other outputs, after a reload."""
        self._series = {name: series for name, series in self._series.items() if name in outputs}

    def note(self, output: str, groups: int, totals: ChangeTotals, published: float, now: float) -> None:
        """Note how much an output has published; called every FINE seconds, changed or not.

        Args:
            output: the instance's name.
            groups: how many groups it published last.
            totals: how much its publications changed so far.
            published: when it published last, in seconds of ``time.time()``.
            now: likewise.
        """
        series = self._series.get(output)
        if series is None:
            series = Series()
            self._series = {**self._series, output: series}
        # An instance that took the place of another one published again what that one had, and that is no change.
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
    # What goes missing is what people look for first.
    parts = (("-", change.removed), ("+", change.added), ("~", change.changed))
    named = (
        f"{sign}{group.key.assignment.mesh}/{group.key.assignment.name}" for sign, groups in parts for group in groups
    )
    return tuple(islice(itertools.chain(named), EXAMPLES))
