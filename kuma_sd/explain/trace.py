"""Trace a target through a chain, step by step."""

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from kuma_sd.core.errors import failure_reason
from kuma_sd.core.logger import Logger
from kuma_sd.core.model import Assignment, Labels, Target
from kuma_sd.core.target_group import GroupKey, TargetGroup
from kuma_sd.explain.inputs import ChainInput, NamedTransform
from kuma_sd.pipeline.transform_call import results_of
from kuma_sd.plugin.interfaces import Transform
from kuma_sd.plugin.optional_interfaces import ExplainsLabels
from kuma_sd.prometheus.label_profiles import PROFILES, LabelProfile
from kuma_sd.telemetry.explanation import ExplainedGroup, Step, Trace

_log = Logger(__name__)

Steps = tuple[Step, ...]

Traced = tuple[Trace, TargetGroup | None]
"""A trace, and the target group that came out."""


def trace(assignment: Assignment, target: Target, chain_input: ChainInput) -> list[Traced]:
    """Repeat what a chain does with an assignment, and record each step.

    Args:
        assignment: the assignment.
        target: the decoded assignment.
        chain_input: the chain.
    """
    # A separate profile, since that of the chain counts repairs.
    profile = LabelProfile(chain_input.label_profile)
    try:
        chain_input.chain.limits.check(target, len(assignment.data))
        given = PROFILES[chain_input.label_profile](target)
        labels = profile.made_valid(given)
    except (Exception, SystemExit) as error:  # noqa: BLE001 (as in a chain: any exception is a failure of this target)
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


def failed(name: str, error: BaseException, plugin: str = "") -> Step:
    """Return the step that ends a trace with an error."""
    return Step(name, plugin, outcome="failed", reason=failure_reason(error))


def _through(
    labels: Labels, steps: Steps, target: Target, rest: Sequence[NamedTransform]
) -> Iterator[tuple[Steps, Labels | None]]:
    """Apply the remaining transforms; yields the steps and the result of each label set, None if it was dropped."""
    if not rest:
        yield steps, labels
        return
    one = rest[0]
    try:
        results = [dict(result) for result in results_of(one.transform, dict(labels), target)]
    except (Exception, SystemExit) as error:  # noqa: BLE001 (as above)
        yield (*steps, failed(one.name, error, one.plugin)), None
        return
    if not results:
        yield (*steps, *_steps_within(one, labels, None, target)), None
    for result in results:
        # explain() of a transform describes a single result.
        within = _steps_within(one, labels, result, target) if len(results) == 1 else [_step_of(one, labels, result)]
        yield from _through(result, (*steps, *within), target, rest[1:])


def _steps_within(one: NamedTransform, labels: Labels, result: Labels | None, target: Target) -> list[Step]:
    """Return the steps within a transform, if its explain() gives them; its real result is what counts."""
    steps: list[Step] = []
    now = labels
    for rule, after in _rules(one.transform, labels, target):
        if after is None:
            return [*steps, _dropped(one, rule)] if result is None else [_step_of(one, labels, result)]
        steps.append(_step_of(one, now, after, rule))
        now = after
    if result is None:
        return [*steps, _dropped(one)]
    return steps if steps and _present(now) == _present(result) else [*steps, _step_of(one, now, result)]


def _rules(transform: Transform, labels: Labels, target: Target) -> list[tuple[str, Labels | None]]:
    if not isinstance(transform, ExplainsLabels):
        return []
    try:
        explained = transform.explain(dict(labels), target)
        return [(str(rule), None if after is None else dict(after)) for rule, after in explained]
    except (Exception, SystemExit) as error:  # noqa: BLE001 (the boundary to plugins; the result is shown without it)
        _log.warning(
            "explain() of a transform fails",
            transform=type(transform).__name__,
            reason=f"{type(error).__name__}: {error}",
        )
        return []


def _end(key: GroupKey, steps: Steps, result: Labels, profile: LabelProfile) -> Traced:
    try:
        labels = profile.made_valid(result)
        steps = (*steps, *_repairs(result, labels))
        if not labels.get("__address__"):
            return Trace((*steps, Step("address", outcome="dropped", reason="no __address__ is left")), None), None
        group = TargetGroup.render(key, labels)
    except (Exception, SystemExit) as error:  # noqa: BLE001 (as above)
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
    """Add the labels that a step changed."""
    old, new = _present(before), _present(after)
    return replace(
        step,
        outcome="unchanged" if old == new else "changed",
        added={name: new[name] for name in sorted(new.keys() - old.keys())},
        removed={name: old[name] for name in sorted(old.keys() - new.keys())},
        changed={name: (old[name], new[name]) for name in sorted(old.keys() & new.keys()) if old[name] != new[name]},
    )


def _present(labels: Labels) -> Labels:
    """Return the labels that are not empty, as printable text, even if a transform returned other types."""
    return {_text(name): _text(value) for name, value in labels.items() if value}


def _text(value: object) -> str:
    return str(value).encode(errors="replace").decode()
