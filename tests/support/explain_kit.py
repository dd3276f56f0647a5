"""Scenes to ask about, without a daemon."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kuma_sd import Assignment, Labels, Publication, Target, TargetGroup
from kuma_sd.pipeline.chain import Branch, Limits
from kuma_sd.explain import Scene, explain
from kuma_sd.explain.inputs import Course, End, NamedStep, Plane
from kuma_sd.telemetry.explanation import Explanation, Step, Trace, Verdict
from kuma_sd.prometheus.label_profiles import LabelProfile

Steps = Sequence[tuple[str, Any]]


class Silent:
    """An output that says nothing of where it puts groups."""

    def start(self) -> None: ...
    def publish(self, publication: Publication) -> None: ...
    def close(self) -> None: ...


class Sharded(Silent):
    """An output that writes one of two shards."""

    def explain(self, group: TargetGroup) -> tuple[str, bool]:
        return ("shard 0", True) if group.targets[0].endswith("0") else ("it belongs to shard 1", False)


def scene(
    *assignments: Assignment,
    steps: Steps = (),
    profile: str = "kuma-prometheus-sd",
    limits: Limits | None = None,
    output: Any = None,
    plane: Callable[[Sequence[Assignment]], Plane] = Plane,
) -> Scene:
    """Publish these, and look at it; steps are transforms by their names."""
    branch = Branch(LabelProfile(profile), [transform for _, transform in steps], limits)
    end = End("out", output or Silent(), branch.publication(assignments, 1.0))
    named = tuple(NamedStep(name, "kind", transform) for name, transform in steps)
    return Scene([plane(assignments)], [Course(profile, named, branch, (end,))])


def explained(where: Scene, place: int = 0) -> Explanation:
    """Explain one of its assignments."""
    (plane,) = where.planes
    return explain(plane.assignments[place], plane, where)


def steps_of(one: Explanation) -> list[Step]:
    """Return the steps of its only way, from the label profile on."""
    (trace,) = traces_of(one)
    return list(trace.steps)


def traces_of(one: Explanation) -> tuple[Trace, ...]:
    (way,) = one.ways
    return way.traces


def verdict_of(one: Explanation) -> Verdict:
    (verdict,) = one.verdicts
    return verdict


def same(labels: Labels, _target: Target) -> Iterable[Labels]:
    """Change nothing."""
    return [labels]
