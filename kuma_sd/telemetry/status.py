"""The status of a daemon as plain data, for JSON, metrics, the status page and the terminal.

Each part has its own status, which is here as it is. Times are in seconds of ``time.time()``; None means not known, or
not happened yet.
"""

from typing import NamedTuple

import msgspec

from kuma_sd.telemetry.control_plane_status import ControlPlaneStatus
from kuma_sd.telemetry.output_status import OutputStatus


class Reloads(msgspec.Struct, frozen=True):
    """The reloads of the settings; replaced whole, never changed.

    Args:
        count: the number of reloads since the start, successful or not.
        failures: the number of failed reloads, after which the old settings stayed.
        last: the time of the last reload.
        succeeded: when settings were last applied: at the start, or by a reload.
        failing: why the last reload failed; empty if it succeeded.
    """

    count: int = 0
    failures: int = 0
    last: float | None = None
    succeeded: float | None = None
    failing: str = ""


class StateStatus(msgspec.Struct, frozen=True):
    """The status of saving the last good targets; replaced whole, never changed.

    Args:
        saved: the time of the last save, in seconds of ``time.time()``; None before the first.
        saves: the number of lists saved.
        failures: the number of failed attempts.
        failing: why the last attempt failed, or why nothing is saved; empty if saving works.
    """

    saved: float | None = None
    saves: int = 0
    failures: int = 0
    failing: str = ""


class HookCall(NamedTuple):
    """A call of a plugin's hook.

    Args:
        plugin: the plugin's name.
        hook: the name of the hook.
        since: when it began.
    """

    plugin: str
    hook: str
    since: float


class HookFailures(NamedTuple):
    """The failures of one plugin's event hooks.

    Args:
        plugin: the plugin's name.
        calls: how many calls raised an exception.
        hook: the hook that failed last.
        at: when it did, in seconds of ``time.time()``.
        reason: what it raised.
    """

    plugin: str
    calls: int
    hook: str
    at: float
    reason: str


class EventsStatus(msgspec.Struct, frozen=True):
    """What became of the events that plugins' hooks listen to; replaced whole, never changed.

    Args:
        delivered: how many were delivered to all listeners.
        dropped: how many were dropped because too many waited.
        dropped_at: when one was dropped last.
        failures: the failures of each plugin whose hooks raised an exception.
        call: the call in progress; None between two calls.
    """

    delivered: int = 0
    dropped: int = 0
    dropped_at: float | None = None
    failures: tuple[HookFailures, ...] = ()
    call: HookCall | None = None


class LeavingStatus(NamedTuple):
    """A control plane that was removed from the settings, and whose targets stay until others have answered.

    Args:
        name: its name in the old settings; empty if it had none.
        targets: the number of its targets.
    """

    name: str
    targets: int


class Problem(msgspec.Struct, frozen=True):
    """A problem that an operator should look at; created by `kuma_sd.telemetry.problems`.

    Args:
        kind: the kind of problem: ``unhealthy``, ``unready``, ``reload``, ``state``, ``disconnected``, ``note``,
            ``held``, ``unreadable``, ``failing``, ``slow``, ``quarantined``, ``hooks`` or
            ``leaving``.
        level: ``error`` or ``warning``.
        what: a description of the problem.
        why: the reason; empty if there is none.
        control_plane: the name of the control plane that it concerns; None if it concerns none.
        output: the name of the output that it concerns; None if it concerns none.
    """

    kind: str
    level: str
    what: str
    why: str = ""
    control_plane: str | None = None
    output: str | None = None


class Status(msgspec.Struct, frozen=True):
    """The status of a daemon.

    Args:
        version: the version of kuma-sd.
        now: when this status was created.
        started: when the daemon started.
        stuck: the threads that died or make no progress, each with the reason.
        problems: the problems, errors first.
        reloads: the reloads of the settings.
        control_planes: the control planes, in the order of their names.
        leaving: the control planes that were removed from the settings, while their targets stay.
        outputs: the outputs, in the order of the settings.
        rounds: the number of rounds of the pipeline; each builds publications.
        round_seconds: the duration of the last round.
        state: the status of saving.
        events: what became of the events that plugins listen to.
    """

    version: str
    now: float
    started: float
    stuck: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    reloads: Reloads = msgspec.field(default_factory=Reloads)
    control_planes: tuple[ControlPlaneStatus, ...] = ()
    leaving: tuple[LeavingStatus, ...] = ()
    outputs: tuple[OutputStatus, ...] = ()
    rounds: int = 0
    round_seconds: float = 0.0
    state: StateStatus = StateStatus()
    events: EventsStatus = EventsStatus()

    @property
    def unhealthy(self) -> tuple[str, ...]:
        """The reasons why the daemon is not healthy; empty if it is."""
        return tuple(problem.why for problem in self.problems if problem.kind == "unhealthy")

    @property
    def unready(self) -> tuple[str, ...]:
        """The reasons why the daemon is not ready; empty if it is."""
        return tuple(
            f"output {problem.output}: {problem.why}" for problem in self.problems if problem.kind == "unready"
        )

    def level(self, *, control_plane: str | None = None, output: str | None = None) -> str:
        """Return the level of the worst problem of a control plane or an output: ``ok``, ``warning`` or ``error``."""
        levels = [
            problem.level
            for problem in self.problems
            if (problem.control_plane, problem.output) == (control_plane, output)
        ]
        return min(levels, key=("error", "warning").index, default="ok")

    @property
    def assignments(self) -> int:
        """The number of targets of all control planes, also of those that were removed while their targets stay."""
        leaving = sum(control_plane.targets for control_plane in self.leaving)
        return sum(control_plane.assignments for control_plane in self.control_planes) + leaving

    @property
    def held(self) -> int:
        """The number of targets that the guards hold."""
        return sum(control_plane.guard.targets for control_plane in self.control_planes)
