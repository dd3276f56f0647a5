"""Scenes to ask about, without a daemon."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kuma_sd import Assignment, Labels, Output, Publication, Target, TargetGroup
from kuma_sd.explain import ExplainInputs, explain
from kuma_sd.explain.inputs import ChainInput, ControlPlaneInput, NamedTransform, OutputInput
from kuma_sd.pipeline.chain import Chain
from kuma_sd.pipeline.label_limits import LabelLimits
from kuma_sd.prometheus.label_profiles import LabelProfile
from kuma_sd.telemetry.explanation import Explanation, Step, Trace, Verdict

Steps = Sequence[tuple[str, Any]]


class Silent(Output):
    """An output that says nothing of where it puts groups."""

    def start(self) -> None: ...
    def publish(self, publication: Publication) -> None: ...
    def close(self) -> None: ...


class Sharded(Silent):
    """An output that writes one of two shards."""

    def explain(self, group: TargetGroup) -> tuple[str, bool]:
        return ("shard 0", True) if group.targets[0].endswith("0") else ("it belongs to shard 1", False)


def explain_inputs(
    *assignments: Assignment,
    steps: Steps = (),
    profile: str = "kuma-prometheus-sd",
    limits: LabelLimits | None = None,
    output: Any = None,
    plane: Callable[[Sequence[Assignment]], ControlPlaneInput] = ControlPlaneInput,
) -> ExplainInputs:
    """Publish these, and look at it; steps are transforms by their names."""
    chain = Chain(LabelProfile(profile), [transform for _, transform in steps], limits)
    end = OutputInput("out", output or Silent(), chain.publication(assignments, 1.0))
    named = tuple(NamedTransform(name, "kind", transform) for name, transform in steps)
    return ExplainInputs([plane(assignments)], [ChainInput(profile, named, chain, (end,))])


def explained(where: ExplainInputs, place: int = 0) -> Explanation:
    """Explain one of its assignments."""
    (plane,) = where.control_planes
    return explain(plane.assignments[place], plane, where)


def steps_of(one: Explanation) -> list[Step]:
    """Return the steps of its only way, from the label profile on."""
    (trace,) = traces_of(one)
    return list(trace.steps)


def traces_of(one: Explanation) -> tuple[Trace, ...]:
    (way,) = one.chains
    return way.traces


def verdict_of(one: Explanation) -> Verdict:
    (verdict,) = one.verdicts
    return verdict


def same(labels: Labels, _target: Target) -> Iterable[Labels]:
    """Change nothing."""
    return [labels]
