"""Know all that is to know of one control plane: contact, answers, what is held, restored or expired.

A state machine whose events are methods. The pipeline's thread owns it; it does no I/O and reads no clock. Everybody
else reads the frozen `ControlPlaneView`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from kuma_sd.core.list_diff import difference
from kuma_sd.core.logger import Logger
from kuma_sd.core.model import Assignment, ContactLost, LastGoodTargets, Snapshot
from kuma_sd.pipeline.control_plane_matching import Identity
from kuma_sd.pipeline.guard import FOREVER, Guard, GuardStatus
from kuma_sd.pipeline.hold_log import HoldLog
from kuma_sd.pipeline.ordinals import has_namesakes, with_stable_ordinals

_log = Logger(__name__)

LOOK_AGAIN_SECONDS = 1.0
"""When to look again at a hold whose time is over while an answer is overdue, or that we are late for.

Who stood still (SIGSTOP, a paused machine) is late, and is told only then that the contact was lost meanwhile.
"""


@dataclass(frozen=True)
class ControlPlaneConfig:
    """What the settings say of a control plane.

    Args:
        name: its name; empty for the only one that has none.
        title: what it is called in the log.
        endpoints: where its replicas answer.
        source: which source asks it; answers of others are outdated.
        is_saved: whether what is published of it can be read back after a restart.
        max_drop: which share of its targets may vanish within ``hold``.
        hold: how long suspicious ones stay, in seconds.
        max_age: how long after the last contact its targets expire, in seconds.
        age: tells how long ago the last contact was, at a monotonic time; None before the first.
    """

    name: str = ""
    title: str = ""
    endpoints: frozenset[str] = frozenset()
    source: int = 0
    is_saved: bool = True
    max_drop: float = 0.5
    hold: float = 120.0
    max_age: float = FOREVER
    age: Callable[[float], float | None] = lambda _now: None

    @property
    def identity(self) -> Identity:
        """What it is recognised by."""
        return Identity(self.name, self.endpoints)


@dataclass(frozen=True, slots=True)
class ControlPlaneView:
    """How a control plane is; replaced whole, never changed.

    Args:
        assignments: what is published of it, or will be with the first publication; sorted by key.
        lapsed: what was dropped when it expired.
        guard: what is held.
        restored: they are from before a restart; it has not answered yet.
        expired: it was out of contact for longer than max-age.
        known: it has answered, or it is known what it had.
        changed: when its targets changed last, in seconds of ``time.time()``.
        received: when the newest answer came, likewise; 0 before the first.
        name: its name; empty for the only one that has none.
    """

    assignments: Sequence[Assignment] = ()
    lapsed: Sequence[Assignment] = ()
    guard: GuardStatus = field(default_factory=GuardStatus)
    restored: bool = False
    expired: bool = False
    known: bool = False
    changed: float | None = None
    received: float = 0.0
    name: str = ""


class ControlPlane:
    """All that is known of one control plane.

    Args:
        config: what the settings say of it.
        now: when it became known to us, in monotonic seconds.

    ``known`` says that it counts as one whose targets are known: it answered, or they were restored. A control plane
    that restarts is empty before it is full, so an empty first answer counts only after ``hold`` in one contact.
    """

    def __init__(self, config: ControlPlaneConfig, now: float) -> None:
        self.config = config
        self.guard = Guard(config.max_drop, config.hold)
        self.file = ""
        self.known = False
        self.restored = False
        self.was_saved = False
        self.expired = False
        self.received = 0.0
        self.changed: float | None = None
        self._in_contact_at = now
        self._lapsed: Sequence[Assignment] = ()
        self._origin: frozenset[str] = frozenset()
        self._answered = False
        self._empty_since: float | None = None
        self._contact: float | None = None
        self._lost_at = -FOREVER
        self._late_at: float | None = None
        self._namesakes = False
        self._log = HoldLog(config.title)

    @property
    def published(self) -> Sequence[Assignment]:
        """What is published of it."""
        return self.guard.published

    @property
    def identity(self) -> Identity:
        """What it is recognised by in other settings."""
        return Identity(self.config.name, self.config.endpoints | self._origin)

    @property
    def last_good(self) -> LastGoodTargets:
        """What is to be saved of it."""
        name, configured = self.config.name, self.config.endpoints
        return LastGoodTargets(name, self._origin, self.published, self.received, self.file, configured)

    @property
    def view(self) -> ControlPlaneView:
        """How it is."""
        return ControlPlaneView(
            self.published,
            self._lapsed,
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
            # In contact its age is 0; then this only makes sure that somebody looks in time.
            times.append(now + max(0.0, self.config.max_age - self._age(now)) + 0.001)
        return min(time if time > now else now + LOOK_AGAIN_SECONDS for time in times)

    def restore(self, last_good: LastGoodTargets) -> None:
        """Begin with what was published before a restart."""
        self.file, self.received = last_good.file, last_good.received
        self.changed = last_good.received
        self.guard.restore(last_good.assignments)
        self._origin = last_good.endpoints
        self.known = self.restored = self.was_saved = True
        self._namesakes = has_namesakes(last_good.assignments)

    def configure(self, config: ControlPlaneConfig, now: float) -> None:
        """Go on with other settings; what is published stays."""
        # Asked before the source may be another one, which knows nothing of this contact.
        self._age(now)
        before, self.config = self.config, config
        self.guard.max_drop, self.guard.hold = config.max_drop, config.hold
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
        """Take an answer."""
        if snapshot.connected > (self._lost_at if self._contact is None else self._contact):
            self._end_contact()
            self._contact = snapshot.connected
        self.restored = self.expired = False
        self._lapsed = ()
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
        """Take note that the contact is lost; a loss before the present contact is outdated."""
        if self._contact is None or lost.at >= self._contact:
            self._lost_at = max(self._lost_at, lost.at)
            self._end_contact()

    def tick(self, now: float) -> None:
        """Do what is due."""
        if self._age(now) > self.config.max_age and not self.expired:
            self._expire()
        may_release = self._is_in_time(now)
        if self._contact is not None and self.config.age(now) == 0:
            if may_release and not self._moved:
                self.guard.release(now)
            if self._empty_since is not None and now - self._empty_since >= self.config.hold:
                self.known = True
        self._log.note(self.guard.status, self.config.hold, now)

    def accept(self) -> None:
        """Let go of what is held, and believe that a control plane that answered is empty."""
        self.guard.accept()
        if self._answered:
            self.known = True
            self._origin = self.config.endpoints

    @property
    def _moved(self) -> bool:
        """Whether the settings name other endpoints than those that the published targets came from."""
        return bool(self._origin and self.published) and self._origin.isdisjoint(self.config.endpoints)

    def _is_in_time(self, now: float) -> bool:
        """Tell whether a loss of contact before the end of the hold would be known by now."""
        late = now - self.guard.deadline
        if late < 0:
            self._late_at = None
        elif self._late_at is None:
            self._late_at = now if late > LOOK_AGAIN_SECONDS else -FOREVER
        return self._late_at is None or now - self._late_at >= LOOK_AGAIN_SECONDS

    def _age(self, now: float) -> float:
        """Return how long ago the last contact was; from the start if there was none since."""
        age = self.config.age(now)
        if age is not None:
            self._in_contact_at = now - age
        return now - self._in_contact_at

    def _with_stable_ordinals(self, snapshot: Snapshot) -> Snapshot:
        assignments = with_stable_ordinals(snapshot.assignments, self.published, self.guard.status.keys)
        self._namesakes = has_namesakes(assignments) or has_namesakes(self.published)
        return replace(snapshot, assignments=assignments)

    def _end_contact(self) -> None:
        self._contact = self._empty_since = None
        self.guard.lose_contact()

    def _expire(self) -> None:
        self.expired, self.restored = True, False
        if self.published:
            _log.warning(
                "not connected for longer than max-age; its targets were dropped",
                control_plane=self.config.title,
                targets=len(self.published),
            )
        self._lapsed = self.published
        self.guard.clear()
