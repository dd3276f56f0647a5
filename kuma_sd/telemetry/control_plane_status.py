"""The status of a control plane: of its source, its connection, its guard and its targets."""

from collections.abc import Mapping

import msgspec

from kuma_sd.core.source_status import SourceReport
from kuma_sd.core.text import duration
from kuma_sd.telemetry.top_counts import TargetCounts


class ConnectionStatus(msgspec.Struct, frozen=True):
    """The connections to a control plane so far; replaced whole, never changed.

    Args:
        attempts: the number of connection attempts.
        snapshots: the number of responses that gave a snapshot.
        unreadable: the number of resources in the newest snapshot that cannot be read.
        up: whether the current connection brought a snapshot; None before the first attempt ended.
        failing: why the last connection ended; empty while one is up.
    """

    attempts: int = 0
    snapshots: int = 0
    unreadable: int = 0
    up: bool | None = None
    failing: str = ""


class HeldTargets(msgspec.Struct, frozen=True):
    """The targets that the guard of a control plane holds.

    Args:
        targets: the number of vanished targets that stay published.
        meshes: the same by mesh.
        doubtful: the number of held targets that may be among the unreadable assignments; they have no time limit.
        why: why the guard holds them; empty while it holds none.
        suspicious: an operator should check: more than a few targets vanished after a reconnect.
        engaged: how often it began to hold targets.
    """

    targets: int = 0
    meshes: TargetCounts = msgspec.field(default_factory=TargetCounts)
    doubtful: int = 0
    why: str = ""
    suspicious: bool = False
    engaged: int = 0


class ControlPlaneStatus(msgspec.Struct, frozen=True):
    """The status of a control plane.

    Args:
        name: its name in the settings; empty for the only one.
        title: its name, or its address without a password if it has no name.
        address: its address without a password.
        plugin: the kind of source.
        source: what the source reports of its connection.
        age: the seconds since the last response; since the start if there was none, and 0 while it is connected.
        silent: for how long a response has been overdue on the open connection, in seconds; 0 if none is.
        connection: the connections so far.
        assignments: the number of published assignments.
        changed: when its targets changed last.
        restored: its targets are from before a restart; it has not responded yet.
        expired: it was not connected for longer than max-age, so its targets were dropped.
        guard: the targets that its guard holds.
        held_until: when the first of them is released; None while it holds none, or if they stay until an operator
            accepts.
        facts: the facts that its plugin reports.
    """

    name: str
    title: str
    address: str
    plugin: str
    source: SourceReport = SourceReport()
    age: float = 0.0
    silent: float = 0.0
    connection: ConnectionStatus = ConnectionStatus()
    assignments: int = 0
    changed: float | None = None
    restored: bool = False
    expired: bool = False
    guard: HeldTargets = msgspec.field(default_factory=HeldTargets)
    held_until: float | None = None
    facts: Mapping[str, str] = msgspec.field(default_factory=dict)

    @property
    def failing(self) -> str:
        """Why the last connection ended, or that the current one is silent; empty if there is no failure."""
        return f"no answer for {duration(self.silent)}" if self.silent else self.connection.failing
