"""The thread between sources and outputs: take snapshots, save targets, and publish the merged ones through chains."""

import itertools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from kuma_sd.core.logger import Logger
from kuma_sd.core.mailbox import Mailbox
from kuma_sd.core.model import Assignment, LastGoodTargets, SourceEvent
from kuma_sd.pipeline.chain_outputs import ChainOutputs
from kuma_sd.pipeline.control_plane import ControlPlane, ControlPlaneView
from kuma_sd.pipeline.control_planes import ControlPlanes
from kuma_sd.pipeline.event_delivery import Events
from kuma_sd.pipeline.first_publication import may_publish_first
from kuma_sd.pipeline.merge import merge
from kuma_sd.pipeline.messages import Accept, Configuration, FromSource, Message
from kuma_sd.state.quarantine_file import NONE_QUARANTINED, QuarantinedGroups
from kuma_sd.state.restorer import Restored

_log = Logger(__name__)

BEAT_SECONDS = 10.0
"""Maximum time between two steps of the pipeline, in seconds."""


class PipelineStatus(msgspec.Struct, frozen=True):
    """The status of the pipeline; replaced whole, never changed.

    Args:
        published: whether there was a first publication.
        control_planes: the state of each control plane, by name.
        leaving: the states of control planes that were removed from the settings and still have targets.
        beat: when its last step began, in seconds of ``time.monotonic()``.
        rounds: the number of rounds so far; each makes publications.
        seconds: the duration of the last round.
    """

    published: bool = False
    control_planes: Mapping[str, ControlPlaneView] = msgspec.field(default_factory=dict)
    leaving: Sequence[ControlPlaneView] = ()
    beat: float = 0.0
    rounds: int = 0
    seconds: float = 0.0


class Saving(NamedTuple):
    """What to call with all that a restart needs.

    Args:
        last_good: called with the published targets of a control plane, whenever they change.
        removed: called with the file of a control plane that is gone.
        quarantined: called with what is published of quarantined targets, whenever it changes.
    """

    last_good: Callable[[LastGoodTargets], None] = lambda _last_good: None
    removed: Callable[[str], None] = lambda _file: None
    quarantined: Callable[[QuarantinedGroups], None] = lambda _groups: None


NOT_SAVING = Saving()


class Pipeline:
    """The thread between control planes and outputs.

    Args:
        started: when the daemon started, in seconds of ``time.monotonic()``.
        saving: saves what a restart needs.
        events: told when a hold begins and ends.
        wall: returns the current time, in seconds of ``time.time()``.
    """

    def __init__(
        self,
        started: float = 0.0,
        saving: Saving = NOT_SAVING,
        events: Events | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.mailbox: Mailbox[Message] = Mailbox()
        self.status = PipelineStatus()
        self.control_planes = ControlPlanes(saving.removed)
        self.chains: Sequence[ChainOutputs] = ()
        self._started = started
        self._start_wait = 0.0
        self._saving = saving
        self._quarantined = NONE_QUARANTINED
        self._wall = wall
        self._events = events or Events()
        self._seen: dict[ControlPlane, Sequence[Assignment]] = {}
        self._saved: dict[ControlPlane, LastGoodTargets] = {}
        self._count = itertools.count()

    def run(self) -> None:
        """Take messages until closed; at least every BEAT_SECONDS, to show that this thread is alive."""
        self.step((), time.monotonic())
        while not self.mailbox.closed:
            now = time.monotonic()
            wait = min(BEAT_SECONDS, max(0.0, self.deadline(now) - now))
            self.step(self.mailbox.take(wait).values(), time.monotonic())

    def close(self) -> None:
        """End run(), from any thread."""
        self.mailbox.close()

    # Senders are tuples, so that no name in the settings collides with one of them.

    def receiver(self, source: int) -> Callable[[SourceEvent], None]:
        """Return a function that takes the events of a source, from any thread."""
        return lambda event: self.mailbox.put((source, type(event)), FromSource(source, event))

    def configure_soon(self, configuration: Configuration) -> None:
        """Apply other settings, from any thread; none are superseded."""
        self.mailbox.put(("configure", next(self._count)), configuration)

    def accept_soon(self, control_plane: str | None) -> None:
        """Release held targets, from any thread."""
        self.mailbox.put(("accept", control_plane), Accept(control_plane))

    def begin(self, restored: Restored, configuration: Configuration, now: float) -> None:
        """Start with the saved targets; call this before the thread runs."""
        self._quarantined = restored.quarantined
        self.control_planes.restore(restored.last_good, now, self._wall(), restored.removed)
        self.configure(configuration, now)

    def step(self, messages: Iterable[Message], now: float) -> None:
        """Handle new messages and whatever is due, and publish if anything changed.

        Args:
            messages: the messages since the last step, in order.
            now: the current time, in seconds of ``time.monotonic()``.
        """
        for message in messages:
            self._handle(message, now)
        self.control_planes.tick(now)
        changed = self._note_changes()
        may_publish = self._may_publish(now)
        if may_publish:
            self.control_planes.note_published_names()
        # Before publishing, so that at the end of the process everything published is saved.
        self._save_changes(now, may_publish=may_publish)
        if may_publish and (changed or not self.status.published):
            self._publish()
        self._show(now)

    def configure(self, configuration: Configuration, now: float) -> None:
        """Apply other settings; their effect is published immediately."""
        before = {name: chain.last for chain in self.chains for name in chain.mailboxes}
        renames = self.control_planes.configure(configuration.control_planes, configuration.start_wait, now)
        for chain in configuration.chains:
            chain.inherit(self.chains, renames, self._quarantined, self._renames_of_quarantined)
        self.chains = configuration.chains
        self._start_wait = configuration.start_wait
        self._show(now)
        if not self.status.published:
            return
        self._publish()
        for chain in self.chains:
            for name in chain.mailboxes:
                if chain.last:
                    change = chain.last.since(before.get(name))
                    _log.info(configuration.in_effect, output=name, **change.counts)

    @property
    def _renames_of_quarantined(self) -> Mapping[str, str]:
        """The present names of control planes by those in the keys of quarantined groups."""
        names = {control_plane.file: control_plane.config.name for control_plane in self.control_planes.all}
        return {name: names[file] for name, file in self._quarantined.files.items() if file in names}

    def deadline(self, now: float) -> float:
        """Return when step() must be called next even without a message, in seconds of ``time.monotonic()``."""
        deadline = self.control_planes.deadline(now)
        opening = self._started + self._start_wait
        return min(deadline, opening) if not self.status.published and now < opening else deadline

    def _handle(self, message: Message, now: float) -> None:
        if isinstance(message, FromSource):
            self.control_planes.take(message.source, message.event, now)
        elif isinstance(message, Configuration):
            self.configure(message, now)
        elif isinstance(message, Accept):
            self.control_planes.accept(message.control_plane)

    def _may_publish(self, now: float) -> bool:
        return self.status.published or may_publish_first(self.control_planes, now - self._started, self._start_wait)

    def _note_changes(self) -> bool:
        """Tell whether the targets changed; lists that did not are mostly the same objects."""
        before = self._seen
        self._seen = {control_plane: control_plane.published for control_plane in self.control_planes.all}
        changed = before.keys() != self._seen.keys()
        for control_plane, assignments in self._seen.items():
            if assignments is not before.get(control_plane):
                changed = True
                if assignments != before.get(control_plane, ()):
                    control_plane.changed = self._wall()
        return changed

    def _publish(self) -> None:
        """Hand all published assignments, merged, to every chain."""
        began = time.monotonic()
        every = self.control_planes.all
        assignments = merge(every)
        received = max((control_plane.received for control_plane in every), default=0.0)
        for chain in self.chains:
            chain.publish(assignments, received)
        self._note_quarantined()
        rounds, seconds = self.status.rounds + 1, time.monotonic() - began
        self.status = replace(self.status, published=True, rounds=rounds, seconds=seconds)
        _log.debug("a round of the pipeline", assignments=len(assignments), seconds=round(seconds, 3))

    def _note_quarantined(self) -> None:
        """Hand the groups of quarantined targets to be saved, if they changed."""
        every = {name: outputs.chain.quarantined for outputs in self.chains for name in outputs.mailboxes}
        groups = {name: some for name, some in every.items() if some}
        files = {known.config.name: known.file for known in self.control_planes.all} if groups else {}
        quarantined = QuarantinedGroups(groups, files)
        if quarantined != self._quarantined:
            self._quarantined = quarantined
            self._saving.quarantined(quarantined)

    def _show(self, now: float) -> None:
        configured = self.control_planes.configured
        views = {name: control_plane.view for name, control_plane in configured.items()}
        leaving = [control_plane.view for control_plane in self.control_planes.leaving]
        self.status = replace(self.status, control_planes=views, leaving=leaving, beat=now)
        self._events.holds({configured[name].config.title: view.guard for name, view in views.items()})

    def _save_changes(self, now: float, *, may_publish: bool) -> None:
        """Hand the published targets to be saved where they changed; an empty control plane is saved too.

        Args:
            now: the current time, in monotonic seconds.
            may_publish: whether targets that were never saved are published now.
        """
        before, wall = self._saved, self._wall()
        self._saved = {}
        for control_plane in self.control_planes.all:
            last_good = control_plane.last_good(now, wall)
            saved = before.get(control_plane)
            is_due = control_plane.known and control_plane.config.is_saved and (may_publish or control_plane.was_saved)
            if is_due and (saved is None or not _is_same(saved, last_good)):
                self._saving.last_good(last_good)
                saved = last_good
            if saved:
                self._saved[control_plane] = saved


def _is_same(saved: LastGoodTargets, now: LastGoodTargets) -> bool:
    """Tell whether there is nothing new to save; an unchanged list is the same object."""
    return saved.assignments is now.assignments and saved.facts == now.facts
