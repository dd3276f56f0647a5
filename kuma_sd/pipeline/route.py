"""Where a chain leads: the outputs that share it."""

from collections.abc import Callable, Mapping, Sequence

from kuma_sd.core.mailbox import Mailbox
from kuma_sd.core.model import Assignment, Key
from kuma_sd.core.publication import Publication
from kuma_sd.core.target_group import TargetGroup
from kuma_sd.pipeline.chain import Chain

SENDER = "pipeline"
"""Under which name publications lie in an output's mailbox, which has no other sender."""


class Route:
    """A chain and the outputs that share it.

    Args:
        chain: what makes publications.
        mailboxes: where they go, by the output's name.
        published: returns what the outputs published before the start, where they know.
    """

    def __init__(
        self,
        chain: Chain,
        mailboxes: Mapping[str, Mailbox[Publication]],
        published: Callable[[], Mapping[Key, TargetGroup]] = dict,
    ) -> None:
        self.chain = chain
        self._published = published
        self.mailboxes = mailboxes
        self.last: Publication | None = None
        self._assignments: Sequence[Assignment] | None = None

    def remember(self) -> Mapping[Key, TargetGroup]:
        """Return what the outputs published before the start, and fall back on just that.

        Their files are not read again: one that somebody changes meanwhile would take targets away.
        """
        published = self._published()
        self._published = lambda: published
        return published

    def publish(self, assignments: list[Assignment], received: float) -> None:
        """Hand the publication of these to the outputs, if it differs from the last one."""
        # Unchanged assignments and groups are the same objects, so comparing them costs next to nothing.
        if assignments == self._assignments:
            return
        self._assignments = assignments
        publication = self.chain.publication(assignments, received)
        if self.last and self.last.groups == publication.groups:
            return
        self.last = publication
        for mailbox in self.mailboxes.values():
            mailbox.put(SENDER, publication)

    def inherit(self, routes: Sequence["Route"], renames: Mapping[str, str]) -> None:
        """Take over the last good groups from the route that led to the same outputs, or else from any.

        Args:
            routes: those of the old settings.
            renames: the new names of control planes by those that they were published under.
        """
        if not routes:
            self.chain.fall_back_on(self._published, renames)
        before = [route for route in routes if not self.mailboxes.keys().isdisjoint(route.mailboxes)]
        for route in (before or routes)[:1]:
            if route.last:
                self.chain.inherit(route.chain, renames)
            else:
                self._published = route._published  # noqa: SLF001 (another route)
                self.chain.fall_back_on(self._published, renames)
