"""Decide which of the targets that vanished from one control plane stay published."""

import enum
import itertools
from collections import Counter
from collections.abc import Collection, Container, Mapping, Sequence
from operator import attrgetter

import msgspec
from msgspec.structs import replace

from kuma_sd.core.list_diff import difference, have_equal_keys
from kuma_sd.core.model import Assignment, Key, Snapshot
from kuma_sd.telemetry.control_plane_status import HeldTargets
from kuma_sd.telemetry.top_counts import Count, TargetCounts

_KEY = attrgetter("key")
_MESH = attrgetter("key.mesh")
_KEY_MESH = attrgetter("mesh")

FOREVER = float("inf")

Changes = tuple[list[Assignment], list[Assignment]]
"""The published assignments that are not in a snapshot, and those in it that are not published (see `difference`)."""

MANY_RESTARTS = 2
"""Number of times a hold starts over until an operator should look."""


class Reason(enum.Enum):
    """Why a vanished target stays published."""

    DROP = "too many vanished"
    NEW_ADDRESS = "only a complete list with targets from the new address replaces those of the old one"
    UNREADABLE = "a resource that cannot be read may be one of them"
    RECONNECT = "a connection was made shortly before"


class GuardStatus(msgspec.Struct, frozen=True):
    """The status of a guard; replaced whole, never changed.

    Args:
        held: the targets that are published although the control plane no longer has them.
        until: when the first of them is released, in seconds of ``time.monotonic()``; None without a time limit.
        keys: the keys of these targets.
    """

    held: HeldTargets = msgspec.field(default_factory=HeldTargets)
    until: float | None = None
    keys: frozenset[Key] = frozenset()


class _Held(msgspec.Struct):
    """A held target.

    Args:
        assignment: its published assignment.
        since: since when it is missing in the present contact; None until a response of this contact lacks it.
        reason: why it is held.
        doubt: the unreadable resources that may be this target; it is held while one of them is received.
    """

    assignment: Assignment
    since: float | None
    reason: Reason
    doubt: frozenset[bytes] = frozenset()

    @property
    def counts_since(self) -> float:
        """The start of the time after which it is released; infinity while this time does not run."""
        return FOREVER if self.since is None or self.doubt else self.since


class Guard:
    """Holds the targets of one control plane that vanish in a suspicious way.

    It is suspicious if more than ``max_drop`` of the published targets, of the control plane or of one mesh, vanish
    within ``hold``; if a target vanishes within ``hold`` after the contact began, since a control plane that restarts
    is empty at first; and if a resource became unreadable in the same response. The target is then held until it
    returns, until it was missing for ``hold`` in one contact, or until an operator accepts. Additions and changes
    always pass, and released targets stay gone.

    ``present`` is what the control plane sent last, ``published`` has the held targets too.

    Args:
        max_drop: the share that may vanish within ``hold``, from 0 to 1.
        hold: how long vanished targets are held, in seconds.
    """

    def __init__(self, max_drop: float = 0.5, hold: float = 120.0) -> None:
        self.max_drop = max_drop
        self.hold = hold
        self.published: Sequence[Assignment] = ()
        self.present: Sequence[Assignment] = ()
        self.status = GuardStatus()
        self._why = ""
        self._held: dict[Key, _Held] = {}
        self._released: dict[Key, float] = {}
        self._unreadable: frozenset[bytes] = frozenset()
        self._restarts = 0

    @property
    def deadline(self) -> float:
        """When release() will release the next target, in monotonic seconds; infinity without a time limit."""
        return min((held.counts_since for held in self._held.values()), default=FOREVER) + self.hold

    def restore(self, assignments: Sequence[Assignment]) -> None:
        """Start with the assignments that were published before a restart."""
        self.published = self.present = assignments

    def admit(self, snapshot: Snapshot, now: float, changes: Changes | None = None, *, conclusive: bool = True) -> None:
        """Take a snapshot of the control plane.

        Args:
            snapshot: the snapshot.
            now: the current time, on the clock of the snapshot's ``connected``.
            changes: its difference from the published assignments, if already known.
            conclusive: whether the targets that it lacks may be released later; otherwise all of them are held.
        """
        gone = self._gone(changes or difference(self.published, snapshot.assignments), snapshot.left_out)
        self._held = {key: held for key, held in self._held.items() if key in gone}
        self._released = {key: since for key, since in self._released.items() if now - since < self.hold}
        appeared = self._note_unreadable(snapshot)
        for target in self._held.values():
            if target.since is None and conclusive:
                target.since = now
        missing = {key: assignment for key, assignment in gone.items() if key not in self._held}
        if not conclusive:
            held = {key: _Held(assignment, None, Reason.NEW_ADDRESS) for key, assignment in missing.items()}
        elif appeared:
            held = {key: _Held(assignment, now, Reason.UNREADABLE, appeared) for key, assignment in missing.items()}
        else:
            held = self._suspicious(missing, snapshot.connected, now) if missing else {}
        self._held.update(held)
        self._released.update((key, now) for key in missing.keys() - held.keys())
        self.present = snapshot.assignments
        self._publish()
        self.release(now)

    def release(self, now: float) -> None:
        """Release targets that were missing for long enough. Call this only while the control plane is in contact."""
        over = [key for key, held in self._held.items() if now - held.counts_since >= self.hold]
        for key in over:
            del self._held[key]
        if over:
            self._publish()

    def lose_contact(self) -> None:
        """Start all holds over: each target must be missing for the whole time in one contact."""
        self._start_over(self._held.values())

    def break_off(self) -> None:
        """Start the holds over for what vanished together with much else: the control plane may have crashed.

        The contact goes on, so that a proxy that cuts streams does not keep the few that vanish every day.
        """
        self._start_over([held for held in self._held.values() if held.reason is Reason.DROP])

    def accept(self) -> None:
        """Release all held targets, and start counting over."""
        self._held.clear()
        self._released.clear()
        self._publish()

    def replace(self, snapshot: Snapshot) -> None:
        """Publish exactly this snapshot, as for another control plane."""
        self._unreadable = snapshot.unreadable
        self.present = snapshot.assignments
        self.accept()

    def rename(self, control_plane: str) -> None:
        """Change the name of the control plane in all keys."""
        keys = {key: replace(key, control_plane=control_plane) for key in (*self._held, *self._released)}
        self.present = [_renamed(assignment, control_plane) for assignment in self.present]
        for held in self._held.values():
            held.assignment = _renamed(held.assignment, control_plane)
        self._held = {keys[key]: held for key, held in self._held.items()}
        self._released = {keys[key]: since for key, since in self._released.items()}
        self._publish()

    def clear(self) -> None:
        """Publish nothing, and hold nothing."""
        self.present = ()
        self.accept()

    def _start_over(self, some: Collection[_Held]) -> None:
        for held in some:
            held.since = None
        if some:
            self._restarts += 1
            self._describe()

    def _gone(self, changes: Changes, left_out: Container[Key]) -> dict[Key, Assignment]:
        """Return the published assignments that are missing without the operator's word.

        Targets that returned no longer count as released.
        """
        vanished, fresh = changes
        if have_equal_keys(vanished, fresh):
            gone = {}
        else:
            gone = {assignment.key: assignment for assignment in vanished if assignment.key not in left_out}
        if gone:
            for key in map(_KEY, fresh):
                gone.pop(key, None)
        if self._released:
            names = {(assignment.key.mesh, assignment.key.name) for assignment in fresh}
            self._released = {key: since for key, since in self._released.items() if (key.mesh, key.name) not in names}
        return gone

    def _note_unreadable(self, snapshot: Snapshot) -> frozenset[bytes]:
        """Update which held targets may be unreadable, and return the resources that became unreadable just now."""
        appeared = snapshot.unreadable - self._unreadable
        went = bool(self._unreadable - snapshot.unreadable)
        self._unreadable = snapshot.unreadable
        for key, held in list(self._held.items()):
            if held.doubt:
                # A broken resource may have changed: then its old bytes are gone and new ones are unreadable.
                held.doubt = (held.doubt | appeared if went else held.doubt) & snapshot.unreadable
                if not held.doubt:
                    del self._held[key]
            elif appeared and (held.since is None or held.since - snapshot.connected <= self.hold):
                held.doubt = appeared
                held.reason = Reason.UNREADABLE
        return appeared

    def _suspicious(self, missing: Mapping[Key, Assignment], connected: float, now: float) -> dict[Key, _Held]:
        """Return the targets to hold among those that vanished from a response without new unreadable resources."""
        if self.hold <= 0:
            return {}
        dropped = self._meshes_that_lost_too_many(missing)
        held = {key: _Held(item, now, Reason.DROP) for key, item in missing.items() if key.mesh in dropped}
        if 0 <= now - connected <= self.hold:
            held |= {key: _Held(item, now, Reason.RECONNECT) for key, item in missing.items() if key not in held}
        return held

    def _meshes_that_lost_too_many(self, missing: Collection[Key]) -> Collection[str]:
        """Return the meshes in which too many vanished, compared with what was published, whatever was added."""
        sure = [key for key, held in self._held.items() if not held.doubt]
        lost = Counter(map(_KEY_MESH, itertools.chain(missing, sure, self._released)))
        known = Counter(map(_MESH, self.published))
        known.update(map(_KEY_MESH, self._released))
        known.subtract(Counter(key.mesh for key, held in self._held.items() if held.doubt))
        if lost.total() > self.max_drop * known.total():
            self._why = f"{lost.total()} of {known.total()} vanished"
            return lost
        meshes = {mesh for mesh, count in lost.items() if count > self.max_drop * known[mesh]}
        if meshes:
            self._why = f"too many vanished from the mesh {', '.join(sorted(meshes))}"
        return meshes

    def _publish(self) -> None:
        held = [held.assignment for held in self._held.values()]
        # Keys are unique, so nothing but them is compared.
        self.published = sorted([*self.present, *held]) if held else self.present
        self._describe()

    def _describe(self) -> None:
        before = self.status.held
        if not self._held:
            self._restarts = 0
            self.status = GuardStatus(HeldTargets(engaged=before.engaged))
            return
        reasons = Counter(held.reason for held in self._held.values())
        reason = next(reason for reason in Reason if reasons[reason])
        deadline = self.deadline
        meshes = Counter(map(_KEY_MESH, self._held))
        held = HeldTargets(
            targets=len(self._held),
            meshes=TargetCounts.of(Count(mesh, count) for mesh, count in meshes.items()),
            doubtful=reasons[Reason.UNREADABLE],
            why=self._why if reason is Reason.DROP else reason.value,
            suspicious=reason in (Reason.DROP, Reason.NEW_ADDRESS) or self._restarts >= MANY_RESTARTS,
            engaged=before.engaged + (not before.targets),
        )
        self.status = GuardStatus(held, None if deadline == FOREVER else deadline, frozenset(self._held))


def _renamed(assignment: Assignment, control_plane: str) -> Assignment:
    return replace(assignment, key=replace(assignment.key, control_plane=control_plane))
