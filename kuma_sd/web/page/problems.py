"""What needs a look, and why: the first thing that an operator wants to know."""

from collections.abc import Iterator
from dataclasses import dataclass

from kuma_sd.telemetry.status import ControlPlaneStatus, OutputStatus, Status, TargetCounts
from kuma_sd.web.page.words import ago, counted, duration, link, short

SLOW = 5.0
"""From when on an attempt to publish deserves a look, in seconds."""

MOST_PARTS = 5
"""How many meshes are named."""


@dataclass(frozen=True)
class Problem:
    """Something that needs a look.

    Args:
        level: ``bad`` or ``warn``.
        what: what is so.
        why: the reason.
        link: where there is more.
        accept: the name of the control plane whose guard can be told to let go; None if that is not what helps.
    """

    level: str
    what: str
    why: str = ""
    link: str = ""
    accept: str | None = None


def problems_of(status: Status) -> Iterator[Problem]:
    """Yield what needs a look, the worst first."""
    found = [*_of_daemon(status)]
    for control_plane in status.control_planes:
        found += _of_control_plane(control_plane, status)
    for output in status.outputs:
        found += _of_output(output, status)
    yield from sorted(found, key=lambda one: one.level != "bad")


def _of_daemon(status: Status) -> Iterator[Problem]:
    for problem in status.unhealthy:
        yield Problem("bad", "The daemon is not healthy", problem)
    if status.reloads.failing:
        when = ago(status.reloads.last or status.now, status.now)
        yield Problem("bad", f"The settings were not reloaded ({when}); the old ones stay", status.reloads.failing)
    if status.state.failing:
        yield Problem("warn", "Targets are not saved for a restart", status.state.failing)


def _of_control_plane(one: ControlPlaneStatus, status: Status) -> Iterator[Problem]:
    title, targets = short(one.title, 80), counted(one.assignments, "target")
    if not one.connected:
        heard = f"is not heard for {duration(one.age)}" if one.heard else "was not heard yet"
        fate = f"; its {targets} stay" if one.assignments else ""
        if one.expired:
            fate = "; its targets are dropped, after max-age"
        elif one.restored:
            fate = f"; its {targets} are from before the restart"
        yield Problem("bad", f"Control plane {title} {heard}{fate}", one.failing or "no answer yet")
    if one.guard.targets:
        until = "until somebody accepts"
        if one.guard.until is not None:
            until = f"for {duration(max(0.0, one.guard.until - status.now))} more"
        what = f"The guard holds {counted(one.guard.targets, 'target')} that vanished from {title}, {until}"
        why = f"{one.guard.why}; in {_parts(one.guard.meshes)}"
        yield Problem("warn", what, why, link("targets", held=1), one.name)
    if one.unparsed:
        what = f"{counted(one.unparsed, 'assignment')} of {title} cannot be understood, so nothing is taken away"
        yield Problem("warn", what, "the log says more")


def _of_output(one: OutputStatus, status: Status) -> Iterator[Problem]:
    name = short(one.name, 80)
    waits = next((problem for problem in status.unready if problem.startswith(f"output {one.name}: ")), "")
    if one.failing:
        since = f"; what it published {ago(one.published, status.now)} stays" if one.published else ""
        yield Problem("bad", f"Output {name} fails{since}", one.failing)
    elif waits:
        yield Problem("warn", f"Output {name} has published nothing yet", waits.partition(": ")[2])
    if one.busy > SLOW:
        yield Problem("warn", f"Output {name} is slow", f"its attempt to publish takes {duration(one.busy)} so far")
    if one.quarantined:
        what = (
            f"{counted(one.quarantined, 'target')} cannot be converted for {name}; they keep what they had, if anything"
        )
        yield Problem("warn", what, "", "#quarantine")


def _parts(counts: TargetCounts) -> str:
    shown = [f"{short(count.name, 60) or '(no mesh)'} {count.count:,}" for count in counts.top[:MOST_PARTS]]
    more = counts.names - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")
