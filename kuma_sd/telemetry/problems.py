"""Derive the problems from a status; the status page, `kuma-sd status` and the health checks only show them."""

from collections.abc import Iterator

from kuma_sd.core.text import ago, counted, duration
from kuma_sd.telemetry.control_plane_status import ControlPlaneStatus
from kuma_sd.telemetry.output_status import OutputStatus
from kuma_sd.telemetry.status import EventsStatus, Problem, Status
from kuma_sd.telemetry.top_counts import TargetCounts

SLOW_SECONDS = 5.0
"""Duration from which an attempt to publish counts as slow, in seconds."""

STUCK_HOOK_SECONDS = 60.0
"""Duration from which one call of an event hook counts as slow, in seconds."""

DROPPED_SECONDS = 300.0
"""How long dropped events and failures of hooks are a problem, in seconds."""

MOST_PARTS = 5
"""Maximum number of meshes or services that are named."""

ERROR, WARNING = "error", "warning"


def problems_of(status: Status) -> list[Problem]:
    """Return the problems of a daemon, errors first."""
    found = [*_of_daemon(status)]
    for control_plane in status.control_planes:
        found += _of_control_plane(control_plane, status.now)
    for output in status.outputs:
        found += _of_output(output, status)
    return sorted(found, key=lambda problem: problem.level != ERROR)


def summary(counts: TargetCounts) -> str:
    """Name the meshes or services with the most targets, like ``payments 138, default 2 and 7 more``.

    A service name that occurs in several meshes is written with its mesh, like ``redis (default) 5``.
    """
    names = [count.name for count in counts.top]
    shown = [
        f"{count.name or '(none)'}{f' ({count.mesh})' if names.count(count.name) > 1 else ''} {count.count:,}"
        for count in counts.top[:MOST_PARTS]
    ]
    more = counts.names - len(shown)
    return (", ".join(shown) or "none") + (f" and {more:,} more" if more else "")


def _of_daemon(status: Status) -> Iterator[Problem]:
    for reason in status.stuck:
        yield Problem("unhealthy", ERROR, "The daemon is not healthy", reason)
    if status.reloads.failing:
        when = ago(status.reloads.last or status.now, status.now)
        what = f"The settings were not reloaded ({when}); the old ones stay"
        yield Problem("reload", ERROR, what, status.reloads.failing)
    if status.state.failing:
        yield Problem("state", WARNING, "Targets are not saved for a restart", status.state.failing)
    for left in status.leaving:
        title = f"Control plane {left.name}" if left.name else "The control plane without a name"
        what = f"{title} was removed from the settings; {counted(left.targets, 'target')} of it still published"
        why = "until each control plane that replaces it has answered, or one has sent targets after start-wait"
        yield Problem("leaving", WARNING, what, why)
    yield from _of_events(status.events, status.now)


def _of_events(events: EventsStatus, now: float) -> Iterator[Problem]:
    busy = now - events.call.since if events.call else 0.0
    why = f"{events.call.hook} of plugin {events.call.plugin} takes {duration(busy)} so far" if events.call else ""
    if events.dropped_at is not None and now - events.dropped_at < DROPPED_SECONDS:
        what = f"{counted(events.dropped, 'event')} for plugins' hooks dropped so far ({ago(events.dropped_at, now)})"
        yield Problem("hooks", WARNING, what, why or "a hook did not keep up")
    elif busy > STUCK_HOOK_SECONDS:
        yield Problem("hooks", WARNING, "A plugin's hook is slow", why)
    for failed in events.failures:
        if now - failed.at < DROPPED_SECONDS:
            what = f"Hooks of plugin {failed.plugin} failed {counted(failed.calls, 'time')} ({ago(failed.at, now)})"
            yield Problem("hooks", WARNING, what, f"{failed.hook}: {failed.reason}")


def _of_control_plane(one: ControlPlaneStatus, now: float) -> Iterator[Problem]:
    if not one.source.connected:
        last = f"has sent nothing for {duration(one.age)}" if one.source.last_response else "has not answered yet"
        what = f"Control plane {one.title} {last}{_fate(one)}"
        yield Problem("disconnected", ERROR, what, one.failing or "no answer yet", control_plane=one.name)
    elif one.source.note:
        what = f"Control plane {one.title} sends {counted(one.assignments - one.guard.targets, 'target')}"
        yield Problem("note", WARNING, what, one.source.note, control_plane=one.name)
    if one.guard.suspicious:
        until = "until an operator accepts"
        if one.held_until is not None:
            until = f"for {duration(max(0.0, one.held_until - now))} more"
        what = f"The guard holds {counted(one.guard.targets, 'target')} that vanished from {one.title}, {until}"
        why = f"{one.guard.why}; in {summary(one.guard.meshes)}"
        yield Problem("held", WARNING, what, why, control_plane=one.name)
    if one.connection.unreadable:
        what = f"{counted(one.connection.unreadable, 'assignment')} of {one.title} cannot be read"
        kept = f"{counted(one.guard.doubtful, 'target')} that may be among them stay published; " * bool(
            one.guard.doubtful
        )
        yield Problem("unreadable", WARNING, what, f"{kept}see the log", control_plane=one.name)


def _fate(one: ControlPlaneStatus) -> str:
    targets = counted(one.assignments, "target")
    if one.expired:
        return "; its targets were dropped after max-age"
    if one.restored:
        return f"; its {targets} are from before the restart"
    return f"; its {targets} {'stays' if one.assignments == 1 else 'stay'}" if one.assignments else ""


def _of_output(one: OutputStatus, status: Status) -> Iterator[Problem]:
    if not one.publishing.publications:
        level, why = ERROR if one.publishing.failing else WARNING, one.publishing.failing or _waiting(one, status)
        yield Problem("unready", level, f"Output {one.name} has published nothing yet", why, output=one.name)
    elif one.publishing.failing:
        what = f"Output {one.name} fails; what it published {ago(one.publishing.last, status.now)} stays"
        yield Problem("failing", ERROR, what, one.publishing.failing, output=one.name)
    if one.busy > SLOW_SECONDS and one.starting is None:
        why = f"its attempt to publish takes {duration(one.busy)} so far"
        yield Problem("slow", WARNING, f"Output {one.name} is slow", why, output=one.name)
    if one.chain.quarantined:
        targets, are = counted(one.chain.quarantined, "target"), "is" if one.chain.quarantined == 1 else "are"
        what = f"{targets} {are} quarantined in {one.name}: each keeps what it had, or is left out"
        yield Problem("quarantined", WARNING, what, output=one.name)


def _waiting(output: OutputStatus, status: Status) -> str:
    if output.starting is not None:
        return f"its plugin is still starting, since {duration(max(0.0, status.now - output.starting))}"
    if output.busy >= 1:
        return f"its first attempt takes {duration(output.busy)} so far"
    for control_plane in status.control_planes:
        if not control_plane.connection.snapshots and not control_plane.restored:
            reason = control_plane.failing or "no answer yet"
            return f"nothing to publish yet: control plane {control_plane.title}: {reason}"
    return "nothing to publish yet: all control planes are empty" if not status.assignments else "about to publish"
