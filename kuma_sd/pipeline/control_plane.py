"""Where the snapshots of one control plane enter the pipeline."""

import logging
import time
from collections.abc import Callable, Sequence

from kuma_sd.core.model import Assignment, Snapshot
from kuma_sd.pipeline.guard import Guard
from kuma_sd.plugin.interfaces import SourceStatus

_log = logging.getLogger(__name__)


class ControlPlane:
    """One control plane's guard, and what it let through.

    Args:
        title: what the control plane is called in the log.
        guard: decides what a snapshot may take away.
        contact: tells how the source is doing.

    ``max_age`` is how long after the loss of contact its targets expire, in seconds; infinity for never. ``changed`` is
    when its targets changed last, in seconds of ``time.time()``; ``restored``, whether they are from before a restart.
    """

    def __init__(self, title: str, guard: Guard, contact: Callable[[], SourceStatus] = SourceStatus) -> None:
        self.title = title
        self.guard = guard
        self.contact = contact
        self.max_age = float("inf")
        self.admitted: Snapshot | None = None
        self.expired = False
        self.restored = False
        self.changed: float | None = None
        self.born = time.time()
        self._newest: Snapshot | None = None
        self._since: float | None = None
        self._believed = False
        self._renewed = False

    def restore(self, snapshot: Snapshot) -> None:
        """Begin with what was published before a restart."""
        self.guard.restore(snapshot.assignments)
        self.admitted, self.restored, self.changed = snapshot, True, snapshot.received
        self._believed = True

    def take(self, snapshot: Snapshot | None, now: float) -> bool:
        """Take a new snapshot, or look again at the last one when a hold is over.

        Args:
            snapshot: the newest; None when there is no new one.
            now: in seconds of ``time.monotonic()``.

        Returns:
            Whether what may be published changed, or may have.
        """
        expired, self.expired = self.expired, self._age() > self.max_age
        if self.expired and not expired:
            _log.warning("control plane %s: not heard for too long (max-age), its targets are dropped", self.title)
        due = self.guard.deadline is not None and self.guard.deadline <= now
        if snapshot and snapshot.assignments and self._renewed:
            self.guard.accept()
            self._renewed = False
        self._newest = snapshot or self._newest
        if not self._newest or not (snapshot or due):
            return self.expired != expired
        self._admit(self._newest, now)
        self._since = now if self._since is None else self._since
        return True

    def accept(self, now: float) -> bool:
        """Believe the control plane: let go of what is held, and publish its set even if it is empty.

        Returns:
            True, for what may be published changed.
        """
        self.guard.accept()
        self._believed = True
        if self._newest:
            self._admit(self._newest, now)
        return True

    def renew(self) -> None:
        """Expect another control plane under the same name: its first targets replace those of the old one."""
        self._renewed = True

    @property
    def assignments(self) -> Sequence[Assignment]:
        """What is published of this control plane."""
        return () if self.expired or not self.admitted else self.admitted.assignments

    def counts_from(self, guard_hold: float) -> float:
        """Return from when on this control plane counts as one that has a snapshot, in seconds of ``time.monotonic()``.

        A control plane that restarts is empty before it is full, so an empty first snapshot counts as none until
        guard_hold has passed.
        """
        if self._believed:
            return float("-inf")
        if self.admitted is None or self._since is None:
            return float("inf")
        return self._since if self.admitted.assignments else self._since + guard_hold

    def deadline(self, now: float) -> float:
        """Return when take() must be called even if nothing new comes, in seconds of ``time.monotonic()``."""
        hold = float("inf") if self.guard.deadline is None else self.guard.deadline
        # While it is heard its age is 0; then this only makes sure that somebody looks in time.
        return hold if self.expired else min(hold, now + max(0.0, self.max_age - self._age()) + 0.001)

    def _admit(self, snapshot: Snapshot, now: float) -> None:
        before, self.admitted, self.restored = self.admitted, self.guard.admit(snapshot, now), False
        # Unchanged assignments are the same objects, so that this costs next to nothing.
        if before is None or before.assignments != self.admitted.assignments:
            self.changed = time.time()

    def _age(self) -> float:
        age = self.contact().age(time.monotonic())
        # What was restored says when it changed last, not when it was heard: so it counts from the start.
        return time.time() - self.born if age is None else age
