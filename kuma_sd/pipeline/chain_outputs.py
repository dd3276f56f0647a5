"""Connect a chain with the outputs that share it."""

from collections.abc import Callable, Mapping, Sequence

from kuma_sd.core.mailbox import Mailbox
from kuma_sd.core.model import Assignment, Key
from kuma_sd.core.publication import Publication
from kuma_sd.core.target_group import TargetGroup
from kuma_sd.pipeline.chain import Chain
from kuma_sd.state.quarantine_file import QuarantinedGroups

SENDER = "pipeline"
"""The name of the only sender to an output's mailbox."""


class ChainOutputs:
    """A chain and the outputs that share it.

    Args:
        chain: the chain.
        mailboxes: the mailboxes of the outputs by name.
        published: returns the groups that the outputs published before the start, if they know them.
        has_memory: tells whether one of them has a file of what it published before the start.
    """

    def __init__(
        self,
        chain: Chain,
        mailboxes: Mapping[str, Mailbox[Publication]],
        published: Callable[[], Mapping[Key, TargetGroup]] = dict,
        has_memory: Callable[[], bool] = lambda: True,
    ) -> None:
        self.chain = chain
        self._published = published
        self._has_memory = has_memory
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
        publication = self.chain.publication(assignments, received, self.last)
        if not self.last and self.chain.lacks_groups and not self._has_memory():
            # What these outputs published is not known, only what others did: no list is better than an incomplete one.
            return
        if self.last and self.last.groups == publication.groups:
            return
        self.last = publication
        for mailbox in self.mailboxes.values():
            mailbox.put(SENDER, publication)

    def inherit(
        self,
        chains: Sequence["ChainOutputs"],
        renames: Mapping[str, str],
        quarantined: QuarantinedGroups,
        renames_of_quarantined: Mapping[str, str],
    ) -> None:
        """Take over the last good groups of the chains with one of the same outputs.

        An output without a chain may have had another name: then all chains count.

        Args:
            chains: the chains of the old settings, with their outputs.
            renames: the new names of control planes by those that they were published under.
            quarantined: what was published of quarantined targets before the start.
            renames_of_quarantined: the new names of control planes by those in the keys of these groups.
        """
        before = [old for old in chains if not self.mailboxes.keys().isdisjoint(old.mailboxes)]
        known = {name for old in before for name in old.mailboxes}
        if not self.mailboxes.keys() <= known:
            before += [old for old in chains if old not in before]
        if not any(old.last for old in before):
            for old in before[:1]:
                self._published = old._published  # noqa: SLF001 (another object of this class)
                self._has_memory = old._has_memory  # noqa: SLF001 (as above)
            saved = quarantined.of(self.mailboxes)
            self.chain.fall_back_on(self._published, renames, saved, renames_of_quarantined)
        elif renames or [old.chain for old in before] != [self.chain]:
            self.chain.inherit([old.chain for old in before if old.last], renames)
