"""The way of a target through a branch, done again step by step."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

from kuma_sd.core.errors import KumaSDError
from kuma_sd.core.model import Assignment, Labels, Target
from kuma_sd.core.target_group import GroupKey, TargetGroup
from kuma_sd.explain.inputs import ChainInput, NamedTransform
from kuma_sd.plugin.interfaces import Transform
from kuma_sd.prometheus.label_profiles import PROFILES, LabelProfile
from kuma_sd.telemetry.explanation import ExplainedGroup, Step, Trace

_log = logging.getLogger(__name__)

Steps = tuple[Step, ...]

Traced = tuple[Trace, TargetGroup | None]
"""A trace, and the target group that came out."""


@runtime_checkable
class _Explains(Protocol):
    def explain(self, labels: Labels, target: Target) -> Iterable[tuple[str, Labels | None]]:
        """What a transform may offer: each of its rules, and the labels after it; None when that drops the target."""


def trace(assignment: Assignment, target: Target, chain_input: ChainInput) -> list[Traced]:
    """Do what a branch does with an assignment, and tell of each step.

    Args:
        assignment: what was received.
        target: the assignment, read.
        chain_input: the branch.
    """
    # One of its own, for the branch's counts what it repairs.
    profile = LabelProfile(chain_input.label_profile)
    try:
        chain_input.chain.limits.check(target, len(assignment.data))
        given = PROFILES[chain_input.label_profile](target)
        labels = profile.made_valid(given)
    except Exception as error:  # noqa: BLE001 (as a branch does: whatever is raised is a failure of this target)
        return [(Trace((failed("limits", error),), None), None)]
    first = _compared(Step("label-profile", rule=chain_input.label_profile), target.labels, given)
    steps = (first, *_repairs(given, labels))
    traced: list[Traced] = []
    place = 0
    for taken, result in _through(labels, steps, target, chain_input.steps):
        if result is None:
            traced.append((Trace(taken, None), None))
        else:
            traced.append(_end(GroupKey(assignment.key, place), taken, result, profile))
            place += 1
    return traced


def failed(name: str, error: Exception, plugin: str = "") -> Step:
    """Return the step that ends the way of a label set with an error."""
    return Step(name, plugin, outcome="failed", reason=reason_of(error))


def reason_of(error: Exception) -> str:
    """Return why something failed, for people."""
    return str(error) if isinstance(error, KumaSDError) else f"unexpected {type(error).__name__}: {error}"


def _through(
    labels: Labels, steps: Steps, target: Target, rest: Sequence[NamedTransform]
) -> Iterator[tuple[Steps, Labels | None]]:
    """Yield what comes out of the transforms that are left, and how; None for what does not come out."""
    if not rest:
        yield steps, labels
        return
    one = rest[0]
    try:
        results = [dict(result) for result in one.transform(dict(labels), target)]
    except Exception as error:  # noqa: BLE001 (as above)
        yield (*steps, failed(one.name, error, one.plugin)), None
        return
    if not results:
        yield (*steps, *_told(one, labels, None, target)), None
    for result in results:
        # What a transform tells of its rules is the way of one result.
        told = _told(one, labels, result, target) if len(results) == 1 else [_step_of(one, labels, result)]
        yield from _through(result, (*steps, *told), target, rest[1:])


def _told(one: NamedTransform, labels: Labels, result: Labels | None, target: Target) -> list[Step]:
    """Return the steps inside of a transform, as far as it tells of them; what it does counts, whatever it tells."""
    told: list[Step] = []
    now = labels
    for rule, after in _rules(one.transform, labels, target):
        if after is None:
            return [*told, _dropped(one, rule)] if result is None else [_step_of(one, labels, result)]
        told.append(_step_of(one, now, after, rule))
        now = after
    if result is None:
        return [*told, _dropped(one)]
    return told if told and _present(now) == _present(result) else [*told, _step_of(one, now, result)]


def _rules(transform: Transform, labels: Labels, target: Target) -> list[tuple[str, Labels | None]]:
    if not isinstance(transform, _Explains):
        return []
    try:
        told = transform.explain(dict(labels), target)
        return [(str(rule), None if after is None else dict(after)) for rule, after in told]
    except Exception as error:  # noqa: BLE001 (the boundary to plugins; what it did is told without it)
        _log.warning("explain() of %s fails: %s: %s", type(transform).__name__, type(error).__name__, error)
        return []


def _end(key: GroupKey, steps: Steps, result: Labels, profile: LabelProfile) -> Traced:
    try:
        labels = profile.made_valid(result)
        steps = (*steps, *_repairs(result, labels))
        if not labels.get("__address__"):
            return Trace((*steps, Step("address", outcome="dropped", reason="no __address__ is left")), None), None
        group = TargetGroup.render(key, labels)
    except Exception as error:  # noqa: BLE001 (as above)
        return Trace((*steps, failed("target-group", error)), None), None
    return Trace(steps, ExplainedGroup(group.targets, group.labels)), group


def _repairs(before: Labels, after: Labels) -> Steps:
    step = _compared(Step("label-names", reason="made valid for every Prometheus"), before, after)
    return (step,) if step.outcome == "changed" else ()


def _dropped(one: NamedTransform, rule: str = "") -> Step:
    return Step(one.name, one.plugin, rule, "dropped")


def _step_of(one: NamedTransform, before: Labels, after: Labels, rule: str = "") -> Step:
    return _compared(Step(one.name, one.plugin, rule), before, after)


def _compared(step: Step, before: Labels, after: Labels) -> Step:
    """Complete a step with what differs after it."""
    old, new = _present(before), _present(after)
    return replace(
        step,
        outcome="unchanged" if old == new else "changed",
        added={name: new[name] for name in sorted(new.keys() - old.keys())},
        removed={name: old[name] for name in sorted(old.keys() - new.keys())},
        changed={name: (old[name], new[name]) for name in sorted(old.keys() & new.keys()) if old[name] != new[name]},
    )


def _present(labels: Labels) -> Labels:
    """Return what is not empty, as text that can be shown, whatever a transform made."""
    return {_text(name): _text(value) for name, value in labels.items() if value}


def _text(value: object) -> str:
    return str(value).encode(errors="replace").decode()
