"""Connect a chain with the outputs that share it."""

from collections.abc import Callable, Mapping, Sequence

from kuma_sd.core.mailbox import Mailbox
from kuma_sd.core.model import Assignment, Key
from kuma_sd.core.publication import Publication
from kuma_sd.core.target_group import TargetGroup
from kuma_sd.pipeline.chain import Chain

SENDER = "pipeline"
"""The name of the only sender to an output's mailbox."""


class Route:
    """A chain and the outputs that share it.

    Args:
        chain: the chain.
        mailboxes: the mailboxes of the outputs by name.
        published: returns the groups that the outputs published before the start, if they know them.
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
        """Return the groups that the outputs published before the start, and fall back on these from now on.

        The files are not read again: one that another program changes meanwhile would remove targets.
        """
        published = self._published()
        self._published = lambda: published
        return published

    def publish(self, assignments: list[Assignment], received: float) -> None:
        """Hand a publication of these assignments to the outputs, if it differs from the last one."""
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
        """Take over the last good groups from a route with one of the same outputs, or else from any route.

        Args:
            routes: the routes of the old settings.
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
