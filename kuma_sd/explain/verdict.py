"""Compare what a chain makes of a target with what outputs published."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import takewhile
from operator import attrgetter

import msgspec

from kuma_sd.core.errors import failure_reason
from kuma_sd.core.model import Key
from kuma_sd.core.publication import Publication
from kuma_sd.core.target_group import GroupKey, TargetGroup
from kuma_sd.explain.inputs import ChainInput, OutputInput
from kuma_sd.explain.trace import Traced
from kuma_sd.plugin.optional_interfaces import ExplainsGroups
from kuma_sd.telemetry.explanation import ExplainedGroup, Identity, Verdict

_KEY: Callable[[TargetGroup], GroupKey] = attrgetter("key")


class Outcome(msgspec.Struct, frozen=True):
    """The result of a chain for one target.

    Args:
        key: the target's key.
        state: its state: ``present``, ``held`` or ``expired``.
        groups: the target groups that come out.
        failure: why it is quarantined; empty if it is not.
        drop: the step that drops it; empty if none does.
    """

    key: Key
    state: str
    groups: Sequence[TargetGroup]
    failure: str
    drop: str

    @classmethod
    def of(cls, key: Key, state: str, chain_input: ChainInput, traced: Sequence[Traced]) -> "Outcome":
        """Create the outcome from traces."""
        outputs = [trace.steps[-1] for trace, _ in traced]
        reasons = {step.outcome: str(step) for step in reversed(outputs)}
        failure = reasons.get("failed", "")
        if not failure and (error := chain_input.chain.failure_of(key)):
            # Not tried again: a quarantined target is retried only after it changed.
            failure = failure_reason(error)
        groups = [group for _, group in traced if group]
        return cls(key, state, () if failure else groups, failure, reasons.get("dropped", ""))

    def at(self, end: OutputInput) -> Verdict:
        """Return what an output does with the target."""
        published, left_out = [], ""
        for group in _groups_of(self.key, end.publication):
            where, taken = _placed(end, group)
            if taken:
                published.append(_shown(group, where))
            else:
                left_out = where
        verdict, why = self._verdict(end, left_out, is_published=bool(published))
        same = [_shown(group, same_as=twin) for group in self.groups if (twin := _twin(group, end.publication))]
        return Verdict(end.name, verdict, why, (*published, *same))

    def _verdict(self, end: OutputInput, left_out: str, *, is_published: bool) -> tuple[str, str]:
        if not is_published and (left_out or self.state == "expired"):
            return (
                ("dropped", left_out) if left_out else ("expired", "its control plane was not connected within max-age")
            )
        if self.failure:
            return "kept" if is_published else "failed", self.failure
        there = _groups_of(self.key, end.publication)
        missing = [group for group in self.groups if group not in there]
        twins = [_twin(key, end.publication) for key in missing]
        if not all(twins) or (is_published and not self.groups):
            return "waiting", end.failing or "the output has not published it yet"
        if is_published:
            return "published", ""
        return ("duplicate", f"the same group is published for {twins[0]}") if twins else ("dropped", self.drop)


def _placed(end: OutputInput, group: TargetGroup) -> tuple[str, bool]:
    if not isinstance(end.output, ExplainsGroups):
        return "", True
    try:
        where, taken = end.output.explain(group)
    except (Exception, SystemExit) as error:  # noqa: BLE001 (the boundary to plugins; the group is published in any case)
        return f"explain() of the output fails: {failure_reason(error)}", True
    return str(where), bool(taken)


def _groups_of(key: Key, publication: Publication | None) -> list[TargetGroup]:
    if publication is None:
        return []
    start = bisect_left(publication.groups, GroupKey(key, 0), key=_KEY)
    following = (publication.groups[place] for place in range(start, len(publication.groups)))
    return list(takewhile(lambda group: group.key.assignment == key, following))


def _twin(group: TargetGroup, publication: Publication | None) -> Identity | None:
    """Return the target under whose key an equal group is published; None if it is published under its own key."""
    if publication is None or group in _groups_of(group.key.assignment, publication):
        return None
    try:
        place = publication.lines.index(group.json)
    except ValueError:
        return None
    return Identity.of(publication.groups[place].key.assignment)


def _shown(group: TargetGroup, where: str = "", same_as: Identity | None = None) -> ExplainedGroup:
    return ExplainedGroup(group.targets, group.labels, where, same_as)
