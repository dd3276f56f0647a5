"""From snapshots to publications: guard, convert, unite, hand on."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from kuma_sd.branch import Branch
from kuma_sd.guard import Guard
from kuma_sd.mailbox import Mailbox
from kuma_sd.model import Publication, Snapshot


@dataclass
class Route:
    """A branch and the mailboxes of the outputs that share it."""

    branch: Branch
    mailboxes: Sequence[Mailbox[Publication]]
    last: Publication | None = None

    def publish(self, snapshots: Iterable[Snapshot]) -> None:
        """Hand the union of these snapshots to the outputs, if it differs from the last one."""
        snapshots = list(snapshots)
        assignments = chain.from_iterable(snapshot.assignments for snapshot in snapshots)
        publication = self.branch.publication(assignments, max(snapshot.received for snapshot in snapshots))
        # Unchanged groups are the same objects, so this costs next to nothing.
        if self.last and self.last.groups == publication.groups:
            return
        self.last = publication
        for mailbox in self.mailboxes:
            mailbox.put(SENDER, publication)


SENDER = "pipeline"
"""Under which name publications lie in an output's mailbox."""


@dataclass(frozen=True)
class Opening:
    """When the first publication may go out.

    Args:
        started: when the daemon started, in seconds of ``time.monotonic()``.
        start_wait: how long to wait for control planes that say nothing, in seconds.
        guard_hold: how long an empty first snapshot counts as none, in seconds: a control plane that restarts is
            empty before it is full.
    """

    started: float
    start_wait: float
    guard_hold: float

    def at(self, control_planes: Iterable[str], arrived: Mapping[str, tuple[bool, float]]) -> float:
        """Return the moment from which on a union may be published, if nothing else arrives.

        Args:
            control_planes: all that are configured.
            arrived: for those that have a snapshot, whether it is empty and when its first one came.
        """
        counts = {name: since + self.guard_hold if empty else since for name, (empty, since) in arrived.items()}
        if not counts:
            return float("inf")
        everybody = max(counts.get(name, float("inf")) for name in control_planes)
        anybody = min(counts.values())
        return min(everybody, max(anybody, self.started + self.start_wait))


@dataclass(frozen=True, slots=True)
class PipelineStatus:
    """What the pipeline did so far; replaced whole, never changed.

    Args:
        published: whether a first publication went out.
        assignments: how many each control plane has.
    """

    published: bool = False
    assignments: Mapping[str, int] = field(default_factory=dict)


class Pipeline:
    """The thread between the control planes and the outputs.

    Args:
        guards: one for each control plane that is configured, by its name.
        routes: the branches and where they lead.
        opening: when to publish first.
    """

    def __init__(self, guards: Mapping[str, Guard], routes: Sequence[Route], opening: Opening) -> None:
        self.mailbox: Mailbox[Snapshot] = Mailbox()
        self.status = PipelineStatus()
        # In the order of their keys.
        self._guards = dict(sorted(guards.items()))
        self._routes = routes
        self._opening = opening
        self._newest: dict[str, Snapshot] = {}
        self._admitted: dict[str, Snapshot] = {}
        self._first: dict[str, float] = {}

    def run(self) -> None:
        """Take snapshots until closed."""
        while not self.mailbox.closed:
            deadline = self._deadline()
            wait = None if deadline == float("inf") else max(0.0, deadline - time.monotonic())
            new = self.mailbox.take(wait)
            if not self.mailbox.closed:
                self.step(new, time.monotonic())

    def close(self) -> None:
        """End run(), from any thread."""
        self.mailbox.close()

    def step(self, new: Mapping[str, Snapshot], now: float) -> None:
        """Admit new snapshots, and those whose hold is over, and publish once that may be.

        Args:
            new: what came since the last step, by control plane.
            now: in seconds of ``time.monotonic()``.
        """
        self._newest.update(new)
        for name, guard in self._guards.items():
            over = guard.deadline is not None and guard.deadline <= now
            if name in new or over:
                self._admitted[name] = guard.admit(self._newest[name], now)
                self._first.setdefault(name, now)
        if not self.status.published and now < self._opens():
            return
        for route in self._routes:
            route.publish(self._admitted[name] for name in self._guards if name in self._admitted)
        self.status = PipelineStatus(
            published=True, assignments={name: len(one.assignments) for name, one in self._admitted.items()}
        )

    def _opens(self) -> float:
        arrived = {name: (not one.assignments, self._first[name]) for name, one in self._admitted.items()}
        return self._opening.at(self._guards, arrived)

    def _deadline(self) -> float:
        holds = [guard.deadline for guard in self._guards.values() if guard.deadline is not None]
        return min(holds, default=float("inf")) if self.status.published else min([self._opens(), *holds])
