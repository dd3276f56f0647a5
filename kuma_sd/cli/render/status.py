"""Format the status as text."""

from collections.abc import Iterable, Iterator, Mapping

from kuma_sd.cli.render.style import Style
from kuma_sd.core.text import ago, counted, duration
from kuma_sd.system.log_format import escape
from kuma_sd.telemetry.control_plane_status import ControlPlaneStatus
from kuma_sd.telemetry.output_status import OutputStatus
from kuma_sd.telemetry.problems import ERROR, summary
from kuma_sd.telemetry.status import Problem, Status

MOST_QUARANTINED = 5
"""Maximum number of quarantined targets shown for an output."""


def screen(status: Status, style: Style) -> Iterator[str]:
    """Yield the status as lines of text.

    Args:
        status: the status.
        style: the colours.
    """
    yield _headline(status, style)
    of_daemon = [problem for problem in status.problems if problem.control_plane is None and problem.output is None]
    yield from (f"  {line}" for line in _problems(of_daemon, style))
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
    facts = [health, ready, f"{counted(status.assignments, 'target')} in the mesh"]
    facts += [style.changed(f"{status.held:,} of them held by the guard")] if status.held else []
    facts.append(f"up for {duration(status.now - status.started)}")
    return f"{style.bold(f'kuma-sd {escape(status.version)}')}: {', '.join(facts)}"


def _block(title: str, lines: Iterable[str], style: Style) -> Iterator[str]:
    mark, first, *rest = lines
    yield f"  {mark}  {style.bold(escape(title))}: {first}"
    yield from (f"        {line}" for line in rest)


def _control_plane(one: ControlPlaneStatus, status: Status, style: Style) -> Iterator[str]:
    """Yield how it is in a word of four letters, and the lines that say more."""
    yield _mark(status.level(control_plane=one.name), "down", style)
    targets = counted(one.assignments, "target") + (f", changed {ago(one.changed, status.now)}" if one.changed else "")
    if one.source.connected:
        since = f" for {duration(status.now - one.source.since)}" if one.source.since else ""
        yield f"{targets}; connected over {escape(one.source.protocol)}{since}"
        yield style.dim(escape(one.source.details))
        if one.source.note and not one.assignments:
            yield style.changed(escape(f"0 targets: {one.source.note}"))
    else:
        yield f"{targets}; " + (f"connected, no answer for {duration(one.silent)}" if one.silent else "not connected")
    yield from _problems((problem for problem in status.problems if problem.control_plane == one.name), style)
    if one.guard.targets and not one.guard.suspicious:
        are = "is" if one.guard.targets == 1 else "are"
        held = f"{counted(one.guard.targets, 'target')} that vanished {are} held for a while: {one.guard.why}"
        yield style.dim(escape(held))
    if one.guard.targets:
        yield style.dim("to release them: kuma-sd accept")
    yield from _facts(one.facts)


def _output(one: OutputStatus, status: Status, style: Style) -> Iterator[str]:
    """Yield how it is in a word of four letters, and the lines that say more."""
    yield _mark(status.level(output=one.name), "fail", style)
    if one.publishing.publications:
        seconds = one.publishing.seconds.last
        lasted = "" if seconds is None else f", {duration(seconds)} after it was received"
        yield f"{counted(one.groups, 'target group')}, published {ago(one.publishing.last, status.now)}{lasted}"
        yield style.dim(f"meshes: {escape(summary(one.parts.meshes))}; services: {escape(summary(one.parts.services))}")
    else:
        yield style.changed("nothing published yet")
    yield from _problems((problem for problem in status.problems if problem.output == one.name), style)
    for target in one.chain.quarantine[:MOST_QUARANTINED]:
        yield style.changed(escape(f"  {target.mesh}/{target.name}: {target.why}"))
    yield from _facts(one.facts)


def _mark(level: str, error: str, style: Style) -> str:
    if level == ERROR:
        return style.removed(error)
    return style.added("ok  ") if level == "ok" else style.changed("look")


def _problems(problems: Iterable[Problem], style: Style) -> Iterator[str]:
    for problem in problems:
        text = escape(": ".join(filter(None, (problem.what, problem.why))))
        yield style.removed(text) if problem.level == ERROR else style.changed(text)


def _facts(facts: Mapping[str, str]) -> Iterator[str]:
    yield from (escape(f"{name}: {value}") for name, value in facts.items())
