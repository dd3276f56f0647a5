"""How a daemon is: all that an operator asks first. Plain data, for JSON, metrics, the page and the terminal.

Times are seconds of ``time.time()``; what is None is not known, or has not happened.
"""

from collections.abc import Iterable, Mapping

import msgspec

from kuma_sd.telemetry.histogram import Histogram

MOST_NAMES = 20
"""How many meshes, services or dataplanes are named; a mesh may have any number."""


class Reloads(msgspec.Struct, frozen=True):
    """How reading the settings again went; replaced whole, never changed.

    Args:
        count: how often they were read again since the start, with or without success.
        failures: how often that failed, so that the old settings stayed.
        last: when they were read again last.
        succeeded: when settings were last taken: at the start, or by a reload.
        failing: why the last reload failed; empty when it did not.
    """

    count: int = 0
    failures: int = 0
    last: float | None = None
    succeeded: float | None = None
    failing: str = ""


class Count(msgspec.Struct, frozen=True):
    """How many there are of one name.

    Args:
        name: of a mesh or a service; empty when there is none.
        count: how many target groups.
        mesh: of a service, the mesh it is in.
    """

    name: str
    count: int
    mesh: str = ""


class TargetCounts(msgspec.Struct, frozen=True):
    """The most frequent names; what is beyond MOST_NAMES is summed up.

    Args:
        top: the largest first.
        names: how many different names there are, those in ``top`` included.
        others: how many target groups have names that are not in ``top``.
    """

    top: tuple[Count, ...] = ()
    names: int = 0
    others: int = 0

    @classmethod
    def of(cls, counts: Iterable[Count]) -> "TargetCounts":
        """Choose the largest."""
        ordered = sorted(counts, key=lambda one: (-one.count, one.mesh, one.name))
        return cls(tuple(ordered[:MOST_NAMES]), len(ordered), sum(count.count for count in ordered[MOST_NAMES:]))


class HeldStatus(msgspec.Struct, frozen=True):
    """What the guard of a control plane holds back.

    Args:
        targets: how many vanished targets stay published.
        meshes: the same by mesh.
        why: what made the guard hold them; empty while it holds none.
        until: when the first of them is let go; None while it holds none, or when they stay until somebody accepts.
        engaged: how often it began to hold something.
        doubtful: how many of them stay because something that cannot be read may be one of them.
        suspicious: somebody should look: it is more than a few targets after a reconnect.
    """

    targets: int = 0
    meshes: TargetCounts = msgspec.field(default_factory=TargetCounts)
    why: str = ""
    until: float | None = None
    engaged: int = 0
    doubtful: int = 0
    suspicious: bool = False


class ControlPlaneStatus(msgspec.Struct, frozen=True):
    """A control plane, and what is known of it.

    Args:
        name: in the settings; empty for the only one.
        title: what people call it: its name, or its address without a password.
        address: its address without a password.
        plugin: the kind of source that speaks to it.
        connected: whether it is connected now.
        protocol: what is spoken, or was last, like ``v1 gRPC``; empty before anything was.
        why: where it leads, and why it is this protocol.
        since: since when it is connected; None while it is not.
        last_response: when it answered last; now, while it is connected.
        age: how long ago that was, in seconds; from the start if there was none.
        changed: when its targets changed last.
        failing: why the last connection ended, or that the present one is silent; empty while all is well.
        silent: for how long a connection that is open owes an answer, in seconds; 0 while it does not.
        note: what is remarkable about the last answer; empty for nothing.
        attempts: how many connections were tried.
        responses: how many answers came.
        snapshots: how many of them made a snapshot.
        received: how many bytes came.
        unreadable: how many assignments of the last answer cannot be understood.
        parse_errors: how many assignments, or whole answers, could not be understood so far.
        assignments: how many are published.
        restored: they are from before a restart; it has not answered yet.
        expired: it was not connected for longer than max-age, so its targets were dropped.
        guard: what is held back.
        facts: what its plugin reports.
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
    """A target that could not be converted: it keeps its last good labels, or is left out if it has none.

    Args:
        control_plane: the name of its control plane.
        mesh: its mesh.
        name: the dataplane.
        why: what went wrong.
    """

    control_plane: str
    mesh: str
    name: str
    why: str


class OutputStatus(msgspec.Struct, frozen=True):
    """An output, and what it published.

    Args:
        name: the instance's name in the settings.
        plugin: what kind it is, like ``file_sd``.
        label_profile: which labels its targets have.
        transforms: the names of what each label set goes through, in this order.
        publications: how many it published.
        failures: how many attempts failed.
        failing: why the last attempt failed; empty when it did not.
        published: when it published last.
        busy: how long the attempt under way takes so far, in seconds; 0 when there is none.
        groups: how many target groups its last publication has; each is one target for Prometheus.
        targets: how many targets of the mesh these stand for; transforms may make several groups of one, or none.
        bytes: how large they are as JSON.
        duplicates: how many groups were left out because an equal one is in.
        superseded: how many publications were passed over for newer ones.
        seconds: how long it took from response received to published.
        quarantined: how many targets could not be converted.
        quarantine: some of them, and why.
        without_address: how many results of transforms were dropped so far because they have no address.
        labels_repaired: how many label names were made valid so far.
        labels_collided: how many labels were lost so far because another has the same name once it is valid.
        meshes: how many groups each mesh has.
        services: how many groups each service has.
        paths: what it serves on the daemon's listeners.
        facts: what its plugin reports.
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
    """How saving the last good targets goes.

    Args:
        saved: when something was saved last.
        saves: how many snapshots were saved.
        failures: how many attempts failed.
        failing: why the last attempt failed, or why there is no state at all; empty when all is well.
    """

    saved: float | None = None
    saves: int = 0
    failures: int = 0
    failing: str = ""


class Problem(msgspec.Struct, frozen=True):
    """Something that needs a look; `kuma_sd.telemetry.problems` decides what does.

    Args:
        kind: what kind of problem: ``unhealthy``, ``unready``, ``reload``, ``state``, ``disconnected``, ``note``,
            ``held``, ``unreadable``, ``failing``, ``slow`` or ``quarantined``.
        level: ``error`` or ``warning``.
        what: what is the case.
        why: the reason; empty if there is none to tell.
        control_plane: the name of the control plane that it concerns; None for others.
        output: the name of the output that it concerns; None for others.
    """

    kind: str
    level: str
    what: str
    why: str = ""
    control_plane: str | None = None
    output: str | None = None


class Status(msgspec.Struct, frozen=True):
    """How a daemon is.

    Args:
        version: of kuma-sd.
        now: when this was put together.
        started: when the daemon started.
        stuck: the threads that died or do not move, each with the reason.
        problems: what needs a look, errors first.
        reloads: how reading the settings again went.
        control_planes: in the order of their names.
        outputs: in the order of the settings.
        rounds: how often the pipeline put publications together.
        round_seconds: how long it took the last time.
        state: how saving goes.
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
        """What keeps the daemon from being healthy; empty when it is."""
        return tuple(problem.why for problem in self.problems if problem.kind == "unhealthy")

    @property
    def unready(self) -> tuple[str, ...]:
        """What keeps the daemon from being ready; empty when it is."""
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
        """How many targets all control planes have together."""
        return sum(control_plane.assignments for control_plane in self.control_planes)

    @property
    def held(self) -> int:
        """How many of them the guards hold."""
        return sum(control_plane.guard.targets for control_plane in self.control_planes)
