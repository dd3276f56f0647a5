"""The status of a daemon as plain data, for JSON, metrics, the status page and the terminal.

Times are in seconds of ``time.time()``; None means not known, or not happened yet.
"""

from collections.abc import Iterable, Mapping

import msgspec

from kuma_sd.telemetry.histogram import Histogram

MOST_NAMES = 20
"""Maximum number of meshes, services or dataplanes that are named; there may be any number."""


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


class Count(msgspec.Struct, frozen=True):
    """The number of target groups of one name.

    Args:
        name: the name of a mesh or a service; empty for groups without one.
        count: the number of target groups.
        mesh: the mesh of a service; empty for a mesh.
    """

    name: str
    count: int
    mesh: str = ""


class TargetCounts(msgspec.Struct, frozen=True):
    """The MOST_NAMES names with the most target groups, and a sum of the others.

    Args:
        top: the counts, the largest first.
        names: the number of different names, those in ``top`` included.
        others: the number of target groups with other names.
    """

    top: tuple[Count, ...] = ()
    names: int = 0
    others: int = 0

    @classmethod
    def of(cls, counts: Iterable[Count]) -> "TargetCounts":
        """Choose the largest counts and sum up the others."""
        ordered = sorted(counts, key=lambda one: (-one.count, one.mesh, one.name))
        return cls(tuple(ordered[:MOST_NAMES]), len(ordered), sum(count.count for count in ordered[MOST_NAMES:]))


class HeldStatus(msgspec.Struct, frozen=True):
    """The targets that the guard of a control plane holds.

    Args:
        targets: the number of vanished targets that stay published.
        meshes: the same by mesh.
        why: why the guard holds them; empty while it holds none.
        until: when the first of them is released; None while it holds none, or if they stay until an operator accepts.
        engaged: how often it began to hold targets.
        doubtful: the number of held targets that may be among the unreadable assignments.
        suspicious: an operator should check: more than a few targets vanished after a reconnect.
    """

    targets: int = 0
    meshes: TargetCounts = msgspec.field(default_factory=TargetCounts)
    why: str = ""
    until: float | None = None
    engaged: int = 0
    doubtful: int = 0
    suspicious: bool = False


class ControlPlaneStatus(msgspec.Struct, frozen=True):
    """The status of a control plane.

    Args:
        name: its name in the settings; empty for the only one.
        title: its name, or its address without a password if it has no name.
        address: its address without a password.
        plugin: the kind of source.
        connected: whether it is connected now.
        protocol: the protocol of the current or last connection, like ``v1 gRPC``; empty before the first.
        why: the server of the connection, and why this protocol was chosen.
        since: when the connection began; None while not connected.
        last_response: the time of the last response; now, while it is connected.
        age: the seconds since then; since the start if there was no response.
        changed: when its targets changed last.
        failing: why the last connection ended, or that the current one is silent; empty if there is no failure.
        silent: for how long a response has been overdue on the open connection, in seconds; 0 if none is.
        note: anything unusual about the last response; empty if there is nothing.
        attempts: the number of connection attempts.
        responses: the number of responses.
        snapshots: the number of responses that gave a snapshot.
        received: the size of all responses in bytes.
        unreadable: the number of assignments in the last response that cannot be read.
        parse_errors: the number of assignments, or whole responses, that could not be read so far.
        assignments: the number of published assignments.
        restored: its targets are from before a restart; it has not responded yet.
        expired: it was not connected for longer than max-age, so its targets were dropped.
        guard: the targets that its guard holds.
        facts: the facts that its plugin reports.
    """

    name: str
    title: str
    address: str
    plugin: str
    connected: bool = False
    protocol: str = ""
    why: str = ""
    since: float | None = None
    last_response: float | None = None
    age: float = 0.0
    changed: float | None = None
    failing: str = ""
    silent: float = 0.0
    note: str = ""
    attempts: int = 0
    responses: int = 0
    snapshots: int = 0
    received: int = 0
    unreadable: int = 0
    parse_errors: int = 0
    assignments: int = 0
    restored: bool = False
    expired: bool = False
    guard: HeldStatus = msgspec.field(default_factory=HeldStatus)
    facts: Mapping[str, str] = msgspec.field(default_factory=dict)


class Quarantined(msgspec.Struct, frozen=True):
    """A quarantined target: it cannot be converted, and keeps its last good labels, or is left out if it has none.

    Args:
        control_plane: the name of its control plane.
        mesh: its mesh.
        name: the name of the dataplane.
        why: why it cannot be converted.
    """

    control_plane: str
    mesh: str
    name: str
    why: str


class OutputStatus(msgspec.Struct, frozen=True):
    """The status of an output.

    Args:
        name: the instance's name in the settings.
        plugin: the kind of output, like ``file_sd``.
        label_profile: the label profile of its targets.
        transforms: the names of its transforms, in order.
        publications: the number of publications it published.
        failures: the number of failed attempts.
        failing: why the last attempt failed; empty if it succeeded.
        published: when it published last.
        busy: the duration of the current attempt so far, in seconds; 0 if there is none.
        groups: the number of target groups in its last publication; each is one target for Prometheus.
        targets: the number of targets of the mesh in it; a transform may return several groups for one, or none.
        bytes: the size of these groups as JSON.
        duplicates: the number of groups left out because an equal one is published.
        superseded: the number of publications that a newer one replaced before the output took them.
        seconds: the time from receiving a response to having published it.
        quarantined: the number of quarantined targets.
        quarantine: some of the quarantined targets, and why.
        without_address: the number of results of transforms dropped so far because they have no address.
        labels_repaired: the number of label names made valid so far.
        labels_collided: the number of labels lost so far because another has the same name once it is valid.
        meshes: the number of groups by mesh.
        services: the number of groups by service.
        paths: the paths it serves on the daemon's listeners.
        facts: the facts that its plugin reports.
    """

    name: str
    plugin: str
    label_profile: str = ""
    transforms: tuple[str, ...] = ()
    publications: int = 0
    failures: int = 0
    failing: str = ""
    published: float | None = None
    busy: float = 0.0
    groups: int = 0
    targets: int = 0
    bytes: int = 0
    duplicates: int = 0
    superseded: int = 0
    seconds: Histogram = msgspec.field(default_factory=Histogram)
    quarantined: int = 0
    quarantine: tuple[Quarantined, ...] = ()
    without_address: int = 0
    labels_repaired: int = 0
    labels_collided: int = 0
    meshes: TargetCounts = msgspec.field(default_factory=TargetCounts)
    services: TargetCounts = msgspec.field(default_factory=TargetCounts)
    paths: tuple[str, ...] = ()
    facts: Mapping[str, str] = msgspec.field(default_factory=dict)


class StateSaving(msgspec.Struct, frozen=True):
    """The status of saving the last good targets.

    Args:
        saved: the time of the last save.
        saves: the number of snapshots saved.
        failures: the number of failed attempts.
        failing: why the last attempt failed, or why nothing is saved; empty if saving works.
    """

    saved: float | None = None
    saves: int = 0
    failures: int = 0
    failing: str = ""


class Problem(msgspec.Struct, frozen=True):
    """A problem that an operator should look at; created by `kuma_sd.telemetry.problems`.

    Args:
        kind: the kind of problem: ``unhealthy``, ``unready``, ``reload``, ``state``, ``disconnected``, ``note``,
            ``held``, ``unreadable``, ``failing``, ``slow`` or ``quarantined``.
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
        outputs: the outputs, in the order of the settings.
        rounds: the number of rounds of the pipeline; each builds publications.
        round_seconds: the duration of the last round.
        state: the status of saving.
    """

    version: str
    now: float
    started: float
    stuck: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    reloads: Reloads = msgspec.field(default_factory=Reloads)
    control_planes: tuple[ControlPlaneStatus, ...] = ()
    outputs: tuple[OutputStatus, ...] = ()
    rounds: int = 0
    round_seconds: float = 0.0
    state: StateSaving = msgspec.field(default_factory=StateSaving)

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
        """The number of targets of all control planes."""
        return sum(control_plane.assignments for control_plane in self.control_planes)

    @property
    def held(self) -> int:
        """The number of targets that the guards hold."""
        return sum(control_plane.guard.targets for control_plane in self.control_planes)
