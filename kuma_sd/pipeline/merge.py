"""From snapshots to publications: guard, convert, unite, hand on."""

import itertools
import logging
import time
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kuma_sd.core.mailbox import Mailbox
from kuma_sd.core.model import Assignment, ContactLost, Snapshot, SourceEvent
from kuma_sd.core.publication import Publication
from kuma_sd.pipeline.chain import Chain
from kuma_sd.pipeline.control_plane import ControlPlane

_log = logging.getLogger(__name__)

SENDER = "pipeline"
"""Under which name publications lie in an output's mailbox."""


class Route:
    """A branch and the outputs that share it.

    Args:
        chain: what makes publications.
        mailboxes: where they go, by the output's name.
    """

    def __init__(self, chain: Chain, mailboxes: Mapping[str, Mailbox[Publication]]) -> None:
        self.chain = chain
        self.mailboxes = mailboxes
        self.last: Publication | None = None
        self._assignments: Sequence[Assignment] | None = None

    def publish(self, control_planes: Collection[ControlPlane]) -> None:
        """Hand the union of what these admit to the outputs, if it differs from the last one."""
        assignments = list(itertools.chain.from_iterable(control_plane.assignments for control_plane in control_planes))
        # Unchanged assignments and groups are the same objects, so comparing them costs next to nothing.
        if assignments == self._assignments:
            return
        self._assignments = assignments
        received = max(
            (control_plane.admitted.received for control_plane in control_planes if control_plane.admitted), default=0.0
        )
        publication = self.chain.publication(assignments, received)
        if self.last and self.last.groups == publication.groups:
            return
        self.last = publication
        for mailbox in self.mailboxes.values():
            mailbox.put(SENDER, publication)


@dataclass(frozen=True)
class FirstPublication:
    """When the first publication may go out.

    Args:
        started: when the daemon started, in seconds of ``time.monotonic()``.
        start_wait: how long to wait for control planes that say nothing, in seconds.
        guard_hold: how long an empty first snapshot counts as none, in seconds.
    """

    started: float
    start_wait: float
    guard_hold: float

    def at(self, control_planes: Iterable[ControlPlane]) -> float:
        """Return from when on a union may be published, if nothing else arrives."""
        counts = [control_plane.counts_from(self.guard_hold) for control_plane in control_planes]
        # With everybody in it; or after start-wait, with anybody.
        return min(max(counts), max(min(counts), self.started + self.start_wait))


@dataclass(frozen=True, slots=True)
class PipelineStatus:
    """What the pipeline did so far; replaced whole, never changed.

    Args:
        published: whether a first publication went out.
        assignments: how many each control plane has.
        beat: when it last took something from its mailbox, in seconds of ``time.monotonic()``.
        rounds: how often it put publications together.
        seconds: how long it took the last time.
    """

    published: bool = False
    assignments: Mapping[str, int] = field(default_factory=dict)
    beat: float = 0.0
    rounds: int = 0
    seconds: float = 0.0


Message = SourceEvent | Callable[[], bool | None]
"""What the pipeline's thread takes: a snapshot, or something to do between two of them, true if it changed anything."""


class Pipeline:
    """The thread between the control planes and the outputs.

    Args:
        control_planes: one for each control plane that is configured, by its name.
        routes: the branches and where they lead.
        opening: when to publish first.
        save: called with what was let through, by control plane, for those who save it.
    """

    def __init__(
        self,
        control_planes: Mapping[str, ControlPlane],
        routes: Sequence[Route],
        opening: FirstPublication,
        save: Callable[[str, Snapshot], None] = lambda _control_plane, _snapshot: None,
    ) -> None:
        self.mailbox: Mailbox[Message] = Mailbox()
        self.status = PipelineStatus()
        # In the order of their keys.
        self.control_planes = dict(sorted(control_planes.items()))
        self.routes = routes
        self._opening = opening
        self._save = save

    def run(self) -> None:
        """Take snapshots until closed."""
        self.step({}, time.monotonic())
        while not self.mailbox.closed:
            deadline = self._deadline(time.monotonic())
            wait = None if deadline == float("inf") else max(0.0, deadline - time.monotonic())
            self.step(self.mailbox.take(wait), time.monotonic())

    def close(self) -> None:
        """End run(), from any thread."""
        self.mailbox.close()

    def receiver(self, control_plane: str) -> Callable[[SourceEvent], None]:
        """Return what takes the events of a control plane's source, in any thread."""
        # Senders are tuples, so that no name that somebody chose is one of them.
        return lambda event: self.mailbox.put((type(event), control_plane), event)

    def step(self, new: Mapping[Hashable, Message], now: float) -> None:
        """Take what is new, and what is due, and publish once that may be.

        Args:
            new: what came since the last step, by sender.
            now: in seconds of ``time.monotonic()``.
        """
        snapshots = {message.control_plane: message for message in new.values() if isinstance(message, Snapshot)}
        # A sign of life that somebody asks for changes nothing: then no target is looked at.
        done = [message() for message in new.values() if not isinstance(message, Snapshot | ContactLost)]
        changed = any(done)
        for name, control_plane in self.control_planes.items():
            changed |= control_plane.take(snapshots.get(name), now)
            if name in snapshots and control_plane.admitted:
                self._save(name, control_plane.admitted)
        published = self.status.published
        if published or now >= self._opening.at(self.control_planes.values()):
            if changed or not published:
                self.publish()
            published = True
        counts = {name: len(control_plane.assignments) for name, control_plane in self.control_planes.items()}
        self.status = replace(self.status, published=published, assignments=counts, beat=now)

    def reconfigure(self, control_planes: Mapping[str, ControlPlane], routes: Sequence[Route]) -> None:
        """Go on with other inlets and routes; what an operator changes is published at once.

        Called in the pipeline's thread, by way of its mailbox, or before it runs.
        """
        before = {name: route.last for route in self.routes for name in route.mailboxes}
        self.control_planes, self.routes = dict(sorted(control_planes.items())), routes
        if not self.status.published:
            return
        self.publish()
        for route in routes:
            for name in route.mailboxes:
                change = route.last.since(before.get(name)) if route.last else None
                _log.info("output %s: with the new settings %s", name, change)

    def publish(self) -> None:
        """Hand the union of what is admitted to every route."""
        began = time.monotonic()
        for route in self.routes:
            route.publish(self.control_planes.values())
        self.status = replace(self.status, rounds=self.status.rounds + 1, seconds=time.monotonic() - began)

    def _deadline(self, now: float) -> float:
        deadlines = [control_plane.deadline(now) for control_plane in self.control_planes.values()]
        return min(deadlines if self.status.published else [self._opening.at(self.control_planes.values()), *deadlines])
