"""The status on a screen of text."""

from collections.abc import Iterable, Iterator, Mapping

from kuma_sd.cli.render.style import Style
from kuma_sd.system.log_format import escape
from kuma_sd.telemetry.status import ControlPlaneStatus, OutputStatus, Status, TargetCounts

MOST_PARTS = 5
"""How many meshes or services are shown in a line."""

SLOW = 5.0
"""From when on an attempt to publish deserves a look, in seconds."""


def screen(status: Status, style: Style) -> Iterator[str]:
    """Yield the lines of the first screen.

    Args:
        status: what to show.
        style: how.
    """
    yield _headline(status, style)
    yield from (f"  {style.removed(escape(problem))}" for problem in (*status.unhealthy, *status.unready))
    if status.reloads.failing:
        failed = f"the settings were not reloaded {_ago(status, status.reloads.last)}: {status.reloads.failing}"
        yield f"  {style.removed(escape(failed))}"
    if status.state.failing:
        yield f"  {style.changed(escape(f'targets are not saved for a restart: {status.state.failing}'))}"
    yield ""
    yield style.bold("control planes")
    for control_plane in status.control_planes:
        yield from _block(control_plane.title, _control_plane(control_plane, status, style), style)
    yield ""
    yield style.bold("outputs")
    for output in status.outputs:
        yield from _block(output.name, _output(output, status, style), style)


def _headline(status: Status, style: Style) -> str:
    health = style.removed("not healthy") if status.unhealthy else style.added("healthy")
    ready = style.changed("not ready") if status.unready else style.added("ready")
    facts = [health, ready, f"{_number(status.assignments, 'target')} in the mesh"]
    facts += [style.changed(f"{status.held:,} of them held by the guard")] if status.held else []
    facts.append(f"up for {_time(status.now - status.started)}")
    return f"{style.bold(f'kuma-sd {escape(status.version)}')}: {', '.join(facts)}"


def _block(title: str, lines: Iterable[str], style: Style) -> Iterator[str]:
    mark, first, *rest = lines
    yield f"  {mark}  {style.bold(escape(title))}: {first}"
    yield from (f"        {line}" for line in rest)


def _control_plane(one: ControlPlaneStatus, status: Status, style: Style) -> Iterator[str]:
    """Yield how it is in a word of four letters, and the lines that say more."""
    targets = _number(one.assignments, "target")
    changed = f", changed {_ago(status, one.changed)}" if one.changed else ""
    if one.connected:
        yield style.changed("look") if one.guard.targets or one.unparsed else style.added("ok  ")
        since = f" for {_time(status.now - one.since)}" if one.since else ""
        yield f"{targets}{changed}; connected over {escape(one.protocol)}{since}"
        yield style.dim(escape(one.why))
    else:
        yield style.removed("down")
        heard = f"not heard for {_time(one.age)}" if one.heard else "not heard yet"
        yield f"{style.removed(heard)}; {targets}{_fate(one)}{changed}"
        yield style.removed(escape(one.failing or "no answer yet"))
    if one.guard.targets:
        until = "until 'kuma-sd accept'"
        if one.guard.until is not None:
            until = f"for up to {_time(one.guard.until - status.now)} more, or {until}"
        yield style.changed(f"{one.guard.targets:,} vanished but stay {until}: {escape(one.guard.why)}")
        yield style.changed(f"in {_parts(one.guard.meshes)}")
    if one.unparsed:
        yield style.changed(f"{one.unparsed:,} cannot be understood and take nothing away; the log says why")
    yield from _facts(one.facts)


def _fate(one: ControlPlaneStatus) -> str:
    if one.expired:
        return ", which were dropped after max-age"
    if one.restored:
        return ", from before the restart"
    return " stay" if one.assignments else ""


def _output(one: OutputStatus, status: Status, style: Style) -> Iterator[str]:
    """Yield how it is in a word of four letters, and the lines that say more."""
    if one.failing:
        yield style.removed("fail")
    elif not one.publications or one.quarantined or one.busy > SLOW:
        yield style.changed("look")
    else:
        yield style.added("ok  ")
    if one.publications:
        lasted = "" if one.seconds.last is None else f", {_time(one.seconds.last)} after it was received"
        yield f"{_number(one.groups, 'target group')}, published {_ago(status, one.published)}{lasted}"
    else:
        yield style.changed("nothing published yet")
    if one.failing:
        yield style.removed(escape(one.failing))
    if one.busy > SLOW:
        yield style.changed(f"the attempt to publish takes {_time(one.busy)} so far")
    if one.publications:
        yield style.dim(f"meshes: {_parts(one.meshes)}; services: {_parts(one.services)}")
    if one.quarantined:
        yield style.changed(
            f"{_number(one.quarantined, 'target')} cannot be converted, and keep what they had or are left out:"
        )
        yield from (
            style.changed(escape(f"  {each.mesh}/{each.name}: {each.why}")) for each in one.quarantine[:MOST_PARTS]
        )
    yield from _facts(one.facts)


def _parts(counts: TargetCounts) -> str:
    shown = [f"{escape(count.name) or '(none)'} {count.count:,}" for count in counts.top[:MOST_PARTS]]
    more = counts.names - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "") if shown else "none"


def _facts(facts: Mapping[str, str]) -> Iterator[str]:
    yield from (escape(f"{name}: {value}") for name, value in facts.items())


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"


def _ago(status: Status, when: float | None) -> str:
    return "never" if when is None else f"{_time(status.now - when)} ago"


_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def _time(seconds: float) -> str:
    """Show a time by its two largest units, which is as much as anybody reads."""
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))}ms"
    parts: list[str] = []
    rest = int(seconds)
    for name, unit in _UNITS:
        count, rest = divmod(rest, unit)
        if count or parts:
            parts.append(f"{count}{name}" if count else "")
    return "".join(parts[:2])
