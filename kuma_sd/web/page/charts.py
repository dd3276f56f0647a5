"""Calculate the charts of target counts and changes over time; a template draws them."""

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import msgspec

from kuma_sd.core.text import counted
from kuma_sd.telemetry.history import COARSE, COARSE_POINTS, FINE, FINE_POINTS, Point

WIDTH, HEIGHT = 360, 150
"""Size of a chart, in SVG units."""

LEFT, RIGHT, TOP, BASE = 40.0, 356.0, 8.0, 92.0
"""Area of the line, in SVG units."""

MIDDLE, REACH = 118.0, 14.0
"""Position and maximum length of the bars of changes, in SVG units."""


class Span(msgspec.Struct, frozen=True):
    """A time span of a chart.

    Args:
        name: its name.
        seconds: its length.
        step: the duration of a point, in seconds.
        bars: the number of bars, each for an equal part of the span.
        ticks: the number of parts of the axis.
    """

    name: str
    seconds: float
    step: float
    bars: int
    ticks: int


HOUR = Span("hour", FINE * FINE_POINTS, FINE, 60, 4)
DAY = Span("day", COARSE * COARSE_POINTS, COARSE, 72, 4)


class Tick(msgspec.Struct, frozen=True):
    """A mark on an axis."""

    at: float
    text: str


class Bar(msgspec.Struct, frozen=True):
    """A bar: the changes in a part of the time span.

    Args:
        x: its left side.
        width: its width.
        up: the length of the part for added targets.
        down: the length of the part for removed targets.
        other: the length of the mark for targets with changed labels.
        text: its tooltip.
    """

    x: float
    width: float
    up: float
    down: float
    other: float
    text: str


class Chart(msgspec.Struct, frozen=True):
    """A chart for the template.

    Args:
        span: the time span.
        path: the line as an SVG path; empty without data.
        bars: the changes.
        values: the marks of the value axis.
        times: the marks of the time axis.
        text: a description in words.
    """

    span: Span
    path: str
    bars: Sequence[Bar]
    values: Sequence[Tick]
    times: Sequence[Tick]
    text: str


def chart(span: Span, points: Sequence[Point], now: float) -> Chart:
    """Calculate a chart.

    Args:
        span: its time span.
        points: the recorded points, oldest first.
        now: its end, in seconds of ``time.time()``.
    """
    shown = [point for point in points if 0 <= now - point.when <= span.seconds]
    low, high = _range([value.groups for value in shown])
    path = " ".join(_path(shown, span, now, low, high))
    values = [Tick(_y(value, low, high), f"{value:,}") for value in (high, low)] if shown else []
    return Chart(span, path, list(_bars(shown, span, now)), values, list(_times(span, now)), _text(span, shown))


def _range(counts: Sequence[int]) -> tuple[int, int]:
    """Return the range of the value axis: from zero, unless all values are far above zero."""
    low, high = min(counts, default=0), max(counts, default=0)
    step = 10 ** max(0, math.floor(math.log10(max(high - low, high / 50, 1))))
    bottom = 0 if low < high / 2 or high < 10 else max(0, low // step * step - step)  # noqa: PLR2004 (small counts start at zero)
    return bottom, (high // step + 1) * step


def _x(when: float, span: Span, now: float) -> float:
    return RIGHT - (now - when) / span.seconds * (RIGHT - LEFT)


def _y(value: int, low: int, high: int) -> float:
    return round(BASE - (value - low) / (high - low) * (BASE - TOP), 1)


def _path(points: Sequence[Point], span: Span, now: float, low: int, high: int) -> Iterator[str]:
    """Yield the parts of a stepped line; it is interrupted where data is missing."""
    before: Point | None = None
    for point in points:
        x, y = max(LEFT, _x(point.when - span.step, span, now)), _y(point.groups, low, high)
        if before is None or point.when - before.when > 2 * span.step:
            yield f"M{x:.1f} {y}"
        elif before.groups != point.groups:
            yield f"H{x:.1f}V{y}"
        before = point
        if point is points[-1]:
            yield f"H{_x(point.when, span, now):.1f}"


def _bars(points: Sequence[Point], span: Span, now: float) -> Iterator[Bar]:
    part = span.seconds / span.bars
    parts: dict[int, list[Point]] = {}
    for point in points:
        if point.added or point.removed or point.changed:
            # Aligned to the clock, so that a bar keeps its content while it moves.
            parts.setdefault(int(point.when // part), []).append(point)
    sums = {
        place: (
            sum(value.added for value in some),
            sum(value.removed for value in some),
            sum(value.changed for value in some),
        )
        for place, some in parts.items()
    }
    most = max((max(some) for some in sums.values()), default=1)
    for place, (added, removed, changed) in sums.items():
        left = max(LEFT, _x(place * part, span, now))
        right = min(RIGHT, _x((place + 1) * part, span, now))
        moment = f"{datetime.fromtimestamp(place * part, UTC):%H:%M}"
        text = f"{moment}: {added:,} added, {removed:,} removed, {changed:,} changed"
        yield Bar(
            round(left, 1),
            round(max(1.0, right - left - 0.8), 1),
            _length(added, most),
            _length(removed, most),
            _length(changed, most),
            text,
        )


def _length(count: int, most: int) -> float:
    # Square root scale, so that one target beside a thousand is visible.
    return round(max(1.5, REACH * math.sqrt(count / most)), 1) if count else 0.0


def _times(span: Span, now: float) -> Iterator[Tick]:
    part = span.seconds / span.ticks
    latest = now // part * part
    for number in range(span.ticks):
        when = latest - number * part
        x = _x(when, span, now)
        # Nearer to an edge the text does not fit.
        if LEFT + 12 <= x <= RIGHT - 12:
            yield Tick(round(x, 1), f"{datetime.fromtimestamp(when, UTC):%H:%M}")


def _text(span: Span, points: Sequence[Point]) -> str:
    if not points:
        return f"Nothing was published within the last {span.name}."
    counts = [point.groups for point in points]
    sums = [sum(getattr(point, name) for point in points) for name in ("added", "removed", "changed")]
    return (
        f"{counted(counts[-1], 'target')} now, {min(counts):,} to {max(counts):,} within the last {span.name}; "
        f"{sums[0]:,} added, {sums[1]:,} removed, {sums[2]:,} changed"
    )
