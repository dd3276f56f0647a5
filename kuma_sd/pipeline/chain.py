"""Turn assignments into target groups: a label profile and transforms, shared by outputs with the same ones."""

from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice

from msgspec.structs import replace

from kuma_sd.core.errors import NotReceivedError, failure_reason, without_frames
from kuma_sd.core.incremental_cache import IncrementalCache
from kuma_sd.core.list_diff import flattened
from kuma_sd.core.model import Assignment, Key, Labels
from kuma_sd.core.publication import Publication
from kuma_sd.core.target_group import GroupKey, TargetGroup
from kuma_sd.pipeline.groups_of_targets import by_target, shared_groups
from kuma_sd.pipeline.json_line_templates import LineTemplates
from kuma_sd.pipeline.label_limits import LabelLimits
from kuma_sd.pipeline.quarantine_log import log_quarantined
from kuma_sd.pipeline.transform_call import apply
from kuma_sd.plugin.interfaces import Transform
from kuma_sd.prometheus.label_profiles import LabelProfile
from kuma_sd.prometheus.scrapable import check_scrapable
from kuma_sd.telemetry.chain_status import MOST_QUARANTINED_SHOWN, ChainStatus, Quarantined

Groups = TargetGroup | tuple[TargetGroup, ...]
"""The result for one assignment: nearly always one group."""


class Chain:
    """Turns assignments into publications; an assignment that did not change is never converted again.

    Args:
        profile: the label profile.
        transforms: the transforms, in order; each gets the results of the one before.
        limits: the limits of a target.
        titles: the names of the transforms in errors; by default those of their types.
    """

    def __init__(
        self,
        profile: LabelProfile,
        transforms: Sequence[Transform] = (),
        limits: LabelLimits | None = None,
        titles: Sequence[str] = (),
    ) -> None:
        self.profile = profile
        self.limits = limits or LabelLimits()
        self.transforms = transforms
        self._titles = titles or [type(transform).__name__ for transform in transforms]
        self._templates = None if transforms else LineTemplates(profile, self.limits.labels)
        self._memo: IncrementalCache[Key, Assignment, Groups] = IncrementalCache(self._convert)
        self._assignments: Sequence[Assignment] = ()
        """Those of the round in progress."""
        self._reported: frozenset[Key] = frozenset()
        self.quarantined: tuple[TargetGroup, ...] = ()
        """What is published of targets that cannot be converted any more."""
        self.without_address = 0
        self.status = ChainStatus()

    @property
    def converted(self) -> int:
        """The number of assignments converted so far."""
        return self._memo.computed

    @property
    def _failures(self) -> Mapping[Key, BaseException]:
        """The failures of quarantined targets; a target that was not received yet is none, though a file has it."""
        failures = self._memo.failures
        return {key: error for key, error in failures.items() if not isinstance(error, NotReceivedError)}

    @property
    def failing(self) -> int:
        """The number of quarantined targets; they keep their last good groups, or are left out."""
        return len(self._failures)

    @property
    def lacks_groups(self) -> bool:
        """Whether targets are known from a published file, and there is nothing that this chain has made of them."""
        errors = self._memo.failures.items()
        not_received = {key for key, error in errors if isinstance(error, NotReceivedError)}
        return len(self._memo.values_of(not_received)) < len(not_received)

    def failure_of(self, key: Key) -> BaseException | None:
        """Return why a target is quarantined, from any thread; None if it is not."""
        return self._memo.failures.get(key)

    def inherit(self, before: Sequence["Chain"], renames: Mapping[str, str]) -> None:
        """Let quarantined targets keep the groups that they had in other chains.

        Args:
            before: chains of the old settings, this one among them if it goes on; of several that have groups of a
                target the first counts.
            renames: the new names of control planes by their old ones.
        """
        groups = [chain._memo.values_later() for chain in before]  # noqa: SLF001 (chains of the same kind)
        self._memo.clear()
        self._memo.fall_back_on(lambda: self._renamed(dict(ChainMap(*(later() for later in groups))), renames))

    def fall_back_on(
        self,
        groups: Callable[[], Mapping[Key, Groups]],
        renames: Mapping[str, str],
        saved: Iterable[TargetGroup],
        renames_of_saved: Mapping[str, str],
    ) -> None:
        """Let targets that are quarantined in the next round keep the groups that were published before.

        Args:
            groups: returns the published groups; called at the first failure. Several of one target have keys like
                those of several targets.
            renames: the new names of control planes by those in the keys of published groups.
            saved: the groups that were saved of targets that were quarantined before a restart; they take precedence,
                since only their keys are exact.
            renames_of_saved: the new names of control planes by those in the keys of saved groups.
        """

        def last_groups() -> dict[Key, Groups]:
            found = self._renamed(groups(), renames)
            shares = shared_groups(found, (assignment.key for assignment in self._assignments))
            found |= {key: _of_one(key, [found[share] for share in shares[key]]) for key in shares}
            return found | self._renamed(by_target(saved), renames_of_saved)

        self._memo.fall_back_on(last_groups)

    def publication(
        self, assignments: Iterable[Assignment], received: float, earlier: Publication | None = None
    ) -> Publication:
        """Convert changed assignments, and make a publication of all.

        Args:
            assignments: the assignments of all control planes, sorted by key.
            received: when the last of them was received.
            earlier: the publication before it, for comparing only what is new.
        """
        self._assignments = list(assignments)
        groups = self._memo.round(self._assignments)
        self._assignments = ()
        publication = Publication.of(flattened(groups, TargetGroup), received, earlier)
        self._report()
        return publication

    def _convert(self, assignment: Assignment) -> Groups:
        # Transforms need label sets; without them, a template renders the line.
        can_be_long = len(assignment.data) > self.limits.label_value_length
        line = None if self._templates is None or can_be_long else self._templates.render(assignment)
        if line is not None:
            return TargetGroup(GroupKey(assignment.key, 0), line)
        target = assignment.read()
        self.limits.check(target, len(assignment.data))
        # What fails here keeps its last good groups: see IncrementalCache, which calls this.
        results: Iterable[Labels] = (self.profile(target),)
        for title, transform in zip(self._titles, self.transforms, strict=True):
            results = apply(title, transform, results, target)
        groups = []
        for place, result in enumerate(results):
            # A transform may make any name; an invalid one would invalidate the whole file.
            labels = self.profile.made_valid(result) if self.transforms else result
            if labels.get("__address__"):
                groups.append(TargetGroup.render(GroupKey(assignment.key, place), labels))
                check_scrapable(labels)
            else:
                self.without_address += 1
        return groups[0] if len(groups) == 1 else tuple(groups)

    def _renamed(self, groups: Mapping[Key, Groups], renames: Mapping[str, str]) -> dict[Key, Groups]:
        result = {}
        for before, found in groups.items():
            now = replace(before, control_plane=renames.get(before.control_plane, before.control_plane))
            result[now] = found if now == before else self._under(before, now, found)
        return result

    def _under(self, before: Key, now: Key, groups: Groups) -> Groups:
        """Return groups under the present name of their control plane, by which they are found after a restart."""
        every = (groups,) if isinstance(groups, TargetGroup) else groups
        result = []
        for group in every:
            labels = self.profile.renamed(group.labels, before.control_plane, now.control_plane)
            labels |= {"__address__": group.targets[0]}
            result.append(TargetGroup.render(GroupKey(now, group.key.place), labels))
        return result[0] if len(result) == 1 else tuple(result)

    def _report(self) -> None:
        failures = self._failures
        log_quarantined({key: failures[key] for key in failures.keys() - self._reported})
        if failures.keys() != self._reported:
            self.quarantined = tuple(flattened(self._memo.values_of(failures.keys()).values(), TargetGroup))
            self._reported = frozenset(failures)
        for error in self._memo.failures.values():
            if error.__traceback__:
                without_frames(error)
        quarantine = tuple(
            Quarantined(key.control_plane, key.mesh, key.name, failure_reason(error))
            for key, error in islice(failures.items(), MOST_QUARANTINED_SHOWN)
        )
        self.status = ChainStatus(
            len(failures), quarantine, self.without_address, self.profile.repaired, self.profile.collided
        )


def _of_one(key: Key, parts: Iterable[Groups]) -> Groups:
    """Return groups as those that were made of one target."""
    every = [TargetGroup(GroupKey(key, place), group.json) for place, group in enumerate(flattened(parts, TargetGroup))]
    return every[0] if len(every) == 1 else tuple(every)
