"""Lay out the pipeline diagram with current numbers; a template draws it."""

import itertools
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TypeVar

import msgspec

from kuma_sd.core.text import ago, duration
from kuma_sd.telemetry.control_plane_status import ControlPlaneStatus
from kuma_sd.telemetry.output_status import OutputStatus
from kuma_sd.telemetry.status import Status
from kuma_sd.web.page.template_filters import short

WIDTH = 1320
"""Width of the diagram, in SVG units."""

MOST_ROWS = 4
"""Maximum number of control planes, chains and outputs drawn."""

ROW, GAP, TOP = 38.0, 10.0, 20.0
"""Height of a box, distance to the next, and space above the first, in SVG units."""

TITLE = 27
"""Maximum length of a name in a box, in characters."""


class Column(msgspec.Struct, frozen=True):
    """A column of the diagram, with boxes of one kind."""

    title: str
    x: float
    width: float


PLANES = Column("control planes", 0, 250)
TAKEN = Column("mailbox", 292, 88)
GUARDS = Column("guard", 422, 168)
CHAINS = Column("chain: label profile, transforms", 646, 240)
HANDED = Column("mailbox", 942, 88)
OUTPUTS = Column("outputs", 1072, 248)
COLUMNS = (PLANES, TAKEN, GUARDS, CHAINS, HANDED, OUTPUTS)


class Box(msgspec.Struct, frozen=True):
    """A box: one stage of the pipeline.

    Args:
        column: its column.
        y: its upper edge.
        level: ``ok``, ``warning``, ``error`` or ``plain``.
        title: its name.
        line: its status.
        figure: its number of targets, if shown.
    """

    column: Column
    y: float
    level: str
    title: str
    line: str = ""
    figure: str = ""

    @property
    def middle(self) -> float:
        """Vertical position of links at this box."""
        return self.y + ROW / 2


class Flow(msgspec.Struct, frozen=True):
    """The diagram for the template.

    Args:
        height: its height.
        boxes: the stages.
        links: the lines between them, as SVG paths.
    """

    height: float
    boxes: Sequence[Box]
    links: Sequence[str]
    width: int = WIDTH
    row: float = ROW
    columns: Sequence[Column] = COLUMNS

    @property
    def stages(self) -> Sequence[tuple[str, Sequence[Box]]]:
        """The boxes by column, as a list for narrow screens."""
        return [(column.title, [box for box in self.boxes if box.column is column]) for column in self.columns]


ChainKey = tuple[str, tuple[str, ...]]
"""The label profile and the transforms of a chain."""

T = TypeVar("T")


def flow(status: Status) -> Flow:
    """Lay out the diagram of a daemon's status."""
    planes, outputs = status.control_planes, status.outputs
    chains = list(dict.fromkeys(_chain_of(output) for output in outputs))
    height = max(min(len(some), MOST_ROWS + 1) for some in (planes, chains, outputs, [None])) * (ROW + GAP) - GAP
    left = [_from(placed, y, status) for placed, y in _rows(planes, height)]
    middle = {placed: _chain(placed, y, outputs) for placed, y in _rows(chains, height)}
    right = [(_chain_of(placed), _to(placed, y, status)) for placed, y in _rows(outputs, height)]
    lines = [_line(*pair) for row in left for pair in pairwise(row)]
    lines += [_line(guard, chain) for *_, guard in left for chain in middle.values()]
    lines += [_line(middle[chain], row[0]) for chain, row in right if chain in middle]
    lines += [_line(*pair) for _, row in right for pair in pairwise(row)]
    boxes = [*itertools.chain(*left), *middle.values(), *itertools.chain(*(row for _, row in right))]
    for column, things in ((PLANES, planes), (CHAINS, chains), (OUTPUTS, outputs)):
        if len(things) > MOST_ROWS:
            boxes.append(Box(column, TOP + height - ROW, "plain", f"and {len(things) - MOST_ROWS:,} more"))
    return Flow(TOP + height + 2, boxes, lines)


def _chain_of(output: OutputStatus) -> ChainKey:
    return output.label_profile, output.transforms


def _rows(things: Sequence[T], height: float) -> Iterator[tuple[T, float]]:
    """Yield the items to draw with their upper edges, centred vertically."""
    count = min(len(things), MOST_ROWS + 1)
    first = TOP + (height - (count * (ROW + GAP) - GAP)) / 2
    for place, thing in enumerate(things[:MOST_ROWS]):
        yield thing, first + place * (ROW + GAP)


def _line(start: Box, end: Box) -> str:
    x, to = start.column.x + start.column.width, end.column.x
    middle = (x + to) / 2
    return f"M{x:g} {start.middle:g}C{middle:g} {start.middle:g} {middle:g} {end.middle:g} {to:g} {end.middle:g}"


def _from(one: ControlPlaneStatus, y: float, status: Status) -> tuple[Box, Box, Box]:
    """Return the boxes of a control plane and its guard, and the link between them."""
    if one.source.connected:
        since = f" for {duration(status.now - one.source.since)}" if one.source.since else ""
        line = f"{short(one.source.protocol, TITLE) or 'connected'}{since}"
    else:
        line = (f"no response for {duration(one.age)}" if one.source.last_response else "no response yet") + _fate(one)
    level, snapshots = "ok" if one.source.connected else "error", one.connection.snapshots
    plane = Box(PLANES, y, level, short(one.title, TITLE), line, f"{one.assignments:,}")
    taken = Box(TAKEN, y, "plain", f"{snapshots:,}", f"snapshot{'s' * (snapshots != 1)}")
    if not one.guard.targets:
        return plane, taken, Box(GUARDS, y, "plain", "holds nothing")
    until = "until accepted" if one.held_until is None else f"{duration(max(0.0, one.held_until - status.now))} more"
    return plane, taken, Box(GUARDS, y, "warning", "holds", until, f"{one.guard.targets:,}")


def _fate(one: ControlPlaneStatus) -> str:
    if one.expired:
        return ", expired"
    if one.restored:
        return ", restored"
    return ", targets stay" if one.assignments else ""


def _chain(chain: ChainKey, y: float, outputs: Sequence[OutputStatus]) -> Box:
    profile, transforms = chain
    quarantined = max(output.chain.quarantined for output in outputs if _chain_of(output) == chain)
    line = short(" → ".join(transforms) or "no transforms", 2 * TITLE if not quarantined else TITLE // 2)
    line += f", {quarantined:,} quarantined" if quarantined else ""
    return Box(CHAINS, y, "warning" if quarantined else "plain", short(profile, TITLE), line)


def _to(one: OutputStatus, y: float, status: Status) -> tuple[Box, Box]:
    """Return the link to an output, and the output's box."""
    handed = Box(HANDED, y, "plain", f"{one.superseded:,}", "superseded")
    level = status.level(output=one.name)
    line = f"published {ago(one.publishing.last, status.now)}" if one.publishing.last else "nothing published yet"
    title = one.name if one.name == one.plugin else f"{one.name} ({one.plugin})"
    line = f"fails; {line}" if one.publishing.failing else line
    return handed, Box(OUTPUTS, y, level, short(title, TITLE), line, f"{one.groups:,}")
