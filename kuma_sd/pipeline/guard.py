"""What a snapshot may take away."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter

from kuma_sd.core.list_diff import difference
from kuma_sd.core.model import Assignment, Key, Snapshot
from kuma_sd.core.options import show_duration
from kuma_sd.core.text import counted

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GuardStatus:
    """What a guard holds back; replaced whole, never changed.

    Args:
        held: how many targets of each mesh are published although the control plane no longer has them.
        why: what made the guard hold them; empty while it holds none.
        until: when the first of them is let go, in the seconds of admit(); None while it holds none.
        engaged: how often it began to hold something.
    """

    held: Mapping[str, int] = field(default_factory=dict)
    why: str = ""
    until: float | None = None
    engaged: int = 0


class Guard:
    """Holds targets that vanish in a suspicious way, for one control plane.

    A key that a snapshot lacks is missing since then. It is suspicious when of the keys present and those that went
    missing within the last ``hold`` more than ``max_drop`` are missing, in the control plane or in one mesh; when one
    went missing within ``hold`` after the connection was made, for a control plane that restarts is empty before it is
    full; and when the snapshot is incomplete. Then what is missing and still published stays: until it returns, until
    it has been missing for ``hold``, or until somebody accepts. What was let go before stays gone.

    Args:
        title: what the control plane is called in the log.
        max_drop: which share may go missing within ``hold``, from 0 to 1.
        hold: how long the missing stay, in seconds.
    """

    def __init__(self, title: str = "", max_drop: float = 0.5, hold: float = 120.0) -> None:
        self.status = GuardStatus()
        self._title = title
        self.max_drop = max_drop
        self.hold = hold
        self._published: Sequence[Assignment] = ()
        self._missing: dict[Key, float] = {}
        self._held: dict[Key, Assignment] = {}

    @property
    def deadline(self) -> float | None:
        """When to admit the last snapshot again, since a hold will be over; in the seconds of admit()."""
        return min((self._missing[key] + self.hold for key in self._held), default=None)

    def holds(self, key: Key) -> bool:
        """Tell, in any thread, whether a target is held that the control plane does not have any more."""
        return key in self._held

    def restore(self, assignments: Sequence[Assignment]) -> None:
        """Begin with what was published before a restart; the holds start anew."""
        self._published = assignments

    def admit(self, snapshot: Snapshot, now: float) -> Snapshot:
        """Return the snapshot as it may be published. Additions and changes always pass.

        Args:
            snapshot: the newest; the same again when a hold is over.
            now: in the seconds of the snapshot's ``connected``.
        """
        gone = self._notice(snapshot.assignments, now)
        self._forget([key for key, since in self._missing.items() if now - since >= self.hold], gone)
        self._decide(snapshot, gone)
        if self._held:
            # Keys are unique, so nothing but them is compared.
            snapshot = replace(snapshot, assignments=sorted([*snapshot.assignments, *self._held.values()]))
        self._published = snapshot.assignments
        return snapshot

    def accept(self) -> None:
        """Let go of everything held, and forget what went missing: what the control plane has is right."""
        self._missing.clear()
        self._held.clear()
        self._published = ()
        self._say("")

    def _notice(self, present: Sequence[Assignment], now: float) -> dict[Key, Assignment]:
        """Update what is missing, and return what is published but not present."""
        vanished, fresh = difference(self._published, present)
        gone = {assignment.key: assignment for assignment in vanished}
        back = [assignment.key for assignment in fresh]
        if self._held:
            # By key: what returns may be another object with the same bytes.
            back += self._held.keys() & set(map(attrgetter("key"), present))
        self._forget(back, gone)
        for key in gone:
            self._missing.setdefault(key, now)
        return gone

    def _forget(self, keys: Iterable[Key], gone: dict[Key, Assignment]) -> None:
        for key in keys:
            self._missing.pop(key, None)
            self._held.pop(key, None)
            gone.pop(key, None)

    def _decide(self, snapshot: Snapshot, gone: Mapping[Key, Assignment]) -> None:
        """Hold what is gone where that is suspicious."""
        why = ""
        if self._missing:
            present = Counter(map(attrgetter("key.mesh"), snapshot.assignments))
            missing = Counter(key.mesh for key in self._missing)
            soon = {key.mesh for key, since in self._missing.items() if 0 <= since - snapshot.connected <= self.hold}
            if not snapshot.complete:
                why, meshes = "something in the response cannot be understood", set(missing)
            elif soon:
                why, meshes = "they vanished soon after a connection was made", set(missing)
            elif self._too_many(missing.total(), present.total()):
                why, meshes = f"{missing.total()} of {missing.total() + present.total()} vanished", set(missing)
            else:
                meshes = {mesh for mesh in missing if self._too_many(missing[mesh], present[mesh])}
                why = f"too many vanished from the mesh {', '.join(sorted(meshes))}" if meshes else ""
            self._held.update((key, missing) for key, missing in gone.items() if key.mesh in meshes)
        self._say(why)

    def _too_many(self, missing: int, present: int) -> bool:
        return missing > self.max_drop * (missing + present)

    def _say(self, why: str) -> None:
        held = dict(Counter(key.mesh for key in self._held))
        if held and not self.status.held:
            _log.warning(
                "control plane %s: %s vanished but stay for up to %s: %s; 'kuma-sd accept' lets them go",
                self._title,
                counted(sum(held.values()), "target"),
                show_duration(self.hold),
                why,
            )
        elif self.status.held and not held:
            _log.info("control plane %s: no vanished target is held any more", self._title)
        engaged = self.status.engaged + bool(held and not self.status.held)
        self.status = GuardStatus(held, (why or self.status.why) if held else "", self.deadline, engaged)
