"""Keep the state of one control plane: contact, snapshots, and which targets are held, restored or expired.

It is a state machine whose events are methods. The pipeline's thread owns it; it does no I/O and reads no clock. Other
threads read the frozen `ControlPlaneView`.
"""

import dataclasses
from collections.abc import Callable, Sequence

import msgspec

from kuma_sd.core.list_diff import difference
from kuma_sd.core.model import Assignment, ContactLost, LastGoodTargets, Snapshot
from kuma_sd.pipeline.control_plane_matching import Identity
from kuma_sd.pipeline.ends_after_sleep import LOOK_AGAIN_SECONDS, LateEnd
from kuma_sd.pipeline.guard import FOREVER, Guard, GuardStatus
from kuma_sd.pipeline.hold_log import HoldLog
from kuma_sd.pipeline.last_contact import LastContact, longest_ahead
from kuma_sd.pipeline.max_age import Expiry
from kuma_sd.pipeline.ordinals import has_namesakes, with_stable_ordinals


class ControlPlaneConfig(msgspec.Struct, frozen=True):
    """The configuration of a control plane.

    Args:
        name: its name; empty for a single one without a name.
        title: its name in the log.
        endpoints: the endpoints of its replicas.
        source: the number of its source; events of other sources are outdated.
        is_saved: whether its targets can be read back after a restart.
        max_drop: the share of its targets that may vanish within ``hold``.
        hold: how long vanished targets are held, in seconds.
        max_age: how long after the last contact its targets expire, in seconds.
        start_wait: how long its first answer is awaited before restored targets expire, in seconds.
        age: returns the seconds since the last contact at a monotonic time; None before the first.
    """

    name: str = ""
    title: str = ""
    endpoints: frozenset[str] = frozenset()
    source: int = 0
    is_saved: bool = True
    max_drop: float = 0.5
    hold: float = 120.0
    max_age: float = FOREVER
    start_wait: float = 30.0
    age: Callable[[float], float | None] = lambda _now: None

    @property
    def identity(self) -> Identity:
        """Its identity in these settings."""
        return Identity(self.name, self.endpoints)


class ControlPlaneView(msgspec.Struct, frozen=True):
    """The state of a control plane for other threads; replaced whole, never changed.

    Args:
        assignments: its published assignments, or those of the first publication to come; sorted by key.
        lapsed: the assignments that were dropped when it expired.
        guard: the status of its guard.
        restored: its targets are from before a restart; it has not responded yet.
        expired: it was not connected for longer than max-age.
        known: its targets are known, from a response or from before a restart.
        changed: when its targets changed last, in seconds of ``time.time()``.
        received: when its last response was received, in seconds of ``time.time()``; 0 before the first.
        name: its name; empty for a single one without a name.
    """

    assignments: Sequence[Assignment] = ()
    lapsed: Sequence[Assignment] = ()
    guard: GuardStatus = msgspec.field(default_factory=GuardStatus)
    restored: bool = False
    expired: bool = False
    known: bool = False
    changed: float | None = None
    received: float = 0.0
    name: str = ""


class ControlPlane:
    """The state of one control plane.

    ``known`` is true once its targets are known: it responded, or they were restored. A control plane that restarts is
    empty at first, so an empty first response counts only after ``hold`` in one contact.

    Args:
        config: its configuration.
        now: the current time, in monotonic seconds.
    """

    def __init__(self, config: ControlPlaneConfig, now: float) -> None:
        self.config = config
        self.guard = Guard(config.max_drop, config.hold)
        self.file = ""
        self.published_as = config.name
        self.known = False
        self.restored = False
        self.was_saved = False
        self.received = 0.0
        self.changed: float | None = None
        self._expiry = Expiry()
        self._last_contact = LastContact(now)
        self._origin: frozenset[str] = frozenset()
        self._answered = False
        self._empty_since: float | None = None
        self._contact: float | None = None
        self._lost_at = -FOREVER
        self._unbroken_since = 0.0
        self._end_of_hold = LateEnd()
        self._namesakes = False
        self._log = HoldLog(config.title)

    @property
    def expired(self) -> bool:
        """Whether its targets were dropped because it was out of contact for longer than ``max-age``."""
        return self._expiry.expired

    @property
    def published(self) -> Sequence[Assignment]:
        """Its published assignments."""
        return self.guard.published

    @property
    def identity(self) -> Identity:
        """Its identity when it is matched with other settings."""
        return Identity(self.config.name, self.config.endpoints | self._origin)

    @property
    def view(self) -> ControlPlaneView:
        """Its state for other threads."""
        return ControlPlaneView(
            self.published,
            self._expiry.lapsed,
            self.guard.status,
            self.restored,
            self.expired,
            self.known,
            self.changed,
            self.received,
            self.config.name,
        )

    def deadline(self, now: float) -> float:
        """Return when tick() must be called next even if nothing happens, in monotonic seconds."""
        times = [self._log.deadline]
        if self._contact is not None:
            times += [] if self._moved else [self.guard.deadline]
            times += [] if self._empty_since is None or self.known else [self._empty_since + self.config.hold]
        if not self.expired:
            # While connected its age is 0; then this only bounds the wait.
            times.append(now - self._overdue(now) + 0.001)
        if self._contact is not None and self.config.max_age < FOREVER:
            # The saved end of the contact is renewed.
            times.append(now + longest_ahead(self.config.max_age) / 2)
        return min(time if time > now else now + LOOK_AGAIN_SECONDS for time in times)

    def last_good(self, now: float, wall: float) -> LastGoodTargets:
        """Return its targets to save.

        Args:
            now: the current time, in monotonic seconds.
            wall: the current time, in seconds of ``time.time()``.
        """
        self._age(now)
        return LastGoodTargets(
            self.config.name,
            self._origin,
            self.published,
            self.received,
            self.file,
            self.config.endpoints,
            self.published_as,
            self._last_contact.until(self.config.max_age, now, wall),
        )

    def restore(self, last_good: LastGoodTargets, wall: float) -> None:
        """Start with the targets that were published before a restart.

        Args:
            last_good: these targets.
            wall: the current time, in seconds of ``time.time()``.
        """
        self._last_contact.restore(last_good.contact_until, wall)
        self.file = last_good.file
        self.received = last_good.received
        self.changed = last_good.received
        self.published_as = last_good.published_name
        self.guard.restore(last_good.assignments)
        self._origin = last_good.endpoints
        self.known = self.restored = self.was_saved = True
        self._namesakes = has_namesakes(last_good.assignments)

    def configure(self, config: ControlPlaneConfig, now: float) -> None:
        """Apply another configuration; published targets stay."""
        # Before the source changes, since a new one knows nothing of this contact.
        self._age(now)
        before = self.config
        self.config = config
        self.guard.max_drop = config.max_drop
        self.guard.hold = config.hold
        self._log.title = config.title
        if config.name != before.name:
            self.guard.rename(config.name)
        if config.source != before.source:
            self._end_contact()
        if not self._origin.isdisjoint(config.endpoints):
            self._origin |= config.endpoints
        if config.endpoints.isdisjoint(before.endpoints):
            self._answered = False

    def take(self, snapshot: Snapshot, now: float) -> None:
        """Take a snapshot."""
        if snapshot.connected > (self._lost_at if self._contact is None else self._contact):
            self._end_contact()
            self._contact = snapshot.connected
        elif snapshot.unbroken_since > self._unbroken_since:
            # It may have crashed in between, although it was back at once.
            self.guard.break_off()
        self._unbroken_since = snapshot.unbroken_since
        self.restored = False
        self._expiry.end()
        self.received = snapshot.received
        self._answered = True
        changes = difference(self.published, snapshot.assignments)
        if self._namesakes or has_namesakes(changes[1]):
            snapshot = self._with_stable_ordinals(snapshot)
            changes = difference(self.published, snapshot.assignments)
        if self._moved and not (snapshot.complete and snapshot.assignments):
            self.guard.admit(snapshot, now, changes, conclusive=False)
        else:
            if self._moved:
                self.guard.replace(snapshot)
            else:
                self.guard.admit(snapshot, now, changes)
            self._origin = self.config.endpoints
        self.known = self.known or bool(snapshot.assignments)
        self._empty_since = now if self._empty_since is None else self._empty_since
        self._log.note(self.guard.status, self.config.hold, now)

    def lose_contact(self, lost: ContactLost) -> None:
        """Record that the contact was lost; a loss before the present contact is outdated."""
        if self._contact is None or lost.at >= self._contact:
            self._lost_at = max(self._lost_at, lost.at)
            self._end_contact()

    def tick(self, now: float) -> None:
        """Expire targets and release held ones whose time is over."""
        if self._expiry.is_due(self._overdue(now), now):
            sent = None if self._contact is None else self.guard.present
            self._expiry.expire(self.published, sent, self.config.title)
            self.restored = False
            self.guard.clear()
        may_release = self._end_of_hold.is_over(now - self.guard.deadline, now)
        if self._contact is not None and self.config.age(now) == 0:
            if (sent := self._expiry.returned()) is not None:
                self.guard.restore(sent)
                self._origin = self.config.endpoints
            if may_release and not self._moved:
                self.guard.release(now)
            if self._empty_since is not None and now - self._empty_since >= self.config.hold:
                self.known = True
        self._log.note(self.guard.status, self.config.hold, now)

    def accept(self) -> None:
        """Release held targets, and believe a control plane that responded with an empty list."""
        self.guard.accept()
        if self._answered:
            self.known = True
            self._origin = self.config.endpoints

    @property
    def _moved(self) -> bool:
        """Whether its published targets come from endpoints that are no longer in the settings."""
        return bool(self._origin and self.published) and self._origin.isdisjoint(self.config.endpoints)

    def _age(self, now: float) -> float:
        """Return the seconds since the last contact, as far as it is known."""
        return self._last_contact.age(self.config.age(now), now)

    def _overdue(self, now: float) -> float:
        """Return how long its age has exceeded ``max-age``, in seconds; negative if it has not."""
        self._age(now)
        return self._last_contact.overdue(self.config.max_age, self.config.start_wait, now)

    def _with_stable_ordinals(self, snapshot: Snapshot) -> Snapshot:
        assignments = with_stable_ordinals(snapshot.assignments, self.published, self.guard.status.keys)
        self._namesakes = has_namesakes(assignments) or has_namesakes(self.published)
        return dataclasses.replace(snapshot, assignments=assignments)

    def _end_contact(self) -> None:
        self._contact = self._empty_since = None
        self._expiry.lose_contact()
        self.guard.lose_contact()
