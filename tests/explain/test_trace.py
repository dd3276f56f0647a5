import random
from collections.abc import Iterable, Iterator

import pytest
from explain_kit import explain_inputs, explained, steps_of, traces_of, verdict_of
from msgspec.structs import replace

from kuma_sd import FileContent, Labels, Target, TransformError
from kuma_sd.pipeline.label_limits import LabelLimits
from kuma_sd.telemetry.explanation import Step
from kuma_sd.testing import assignment
from kuma_sd_bundled.filter import Filter, FilterOptions
from kuma_sd_bundled.labels import ChangeLabels, LabelsOptions
from kuma_sd_bundled.relabel import Relabel, RelabelOptions

RULES = """
- {source_labels: [__address__], regex: '.*:(\\d+)', target_label: __address__, replacement: 'nat:$1'}
- {action: drop, source_labels: [env], regex: test}
- {action: labeldrop, regex: envs}
"""


def relabel(rules: str = RULES) -> Relabel:
    return Relabel(RelabelOptions(rules=FileContent(None, rules.encode())))


def only(match: str) -> Filter:
    return Filter(FilterOptions(match=FilterOptions.__dataclass_fields__["match"].metadata["type"].parse(match)))


def test_the_label_profile_shows_what_it_adds_to_what_was_received() -> None:
    (step,) = steps_of(explained(explain_inputs(assignment("a", labels={"env": "prod"}))))
    added = {"__address__": "192.0.2.1:5670", "__metrics_path__": "/metrics", "__scheme__": "http"}
    added |= {"dataplane": "a", "instance": "a", "job": "backend", "mesh": "default", "service": "backend"}
    assert step == Step("label-profile", rule="kuma-prometheus-sd", outcome="changed", added=added)


def test_names_that_are_repaired_are_shown() -> None:
    (_, step) = steps_of(explained(explain_inputs(assignment("a", labels={"kuma.io/zone": "east"}))))
    assert (step.name, step.removed, step.added) == ("label-names", {"kuma.io/zone": "east"}, {"kuma_io_zone": "east"})


def test_each_rule_of_relabel_shows_what_it_changes() -> None:
    one = explained(explain_inputs(assignment("a"), steps=[("nat", relabel())]))
    _, first, second, third = steps_of(one)
    assert str(first).startswith("nat (kind): rule 1: replace, source_labels")
    assert first.changed == {"__address__": ("192.0.2.1:5670", "nat:5670")}
    assert (second.outcome, second.added | second.removed) == ("unchanged", {})
    assert third.removed == {"envs": ",prod,"}
    (trace,) = traces_of(one)
    assert trace.group
    assert trace.group.targets == ["nat:5670"]


def test_the_rule_that_drops_a_target_is_named_and_nothing_follows_it() -> None:
    one = explained(
        explain_inputs(assignment("a", labels={"env": "test"}), steps=[("nat", relabel()), ("never", only("a=b"))])
    )
    *_, last = steps_of(one)
    assert (last.name, last.outcome) == ("nat", "dropped")
    assert last.rule.startswith("rule 2: drop")
    assert verdict_of(one).verdict == "dropped"
    assert verdict_of(one).why == str(last)


def test_the_matcher_that_does_not_hold_is_named() -> None:
    one = explained(explain_inputs(assignment("a"), steps=[("some", only("mesh=default, env=test, service=x"))]))
    assert [(step.rule, step.outcome) for step in steps_of(one)[1:]] == [
        ('mesh="default"', "unchanged"),
        ('env="test"', "dropped"),
    ]


def test_labels_tells_what_it_removes_renames_and_adds() -> None:
    options = LabelsOptions(add=(("site", "fra"),), rename=(("env", "stage"), ("job", "env")), remove=("envs", "no"))
    one = explained(explain_inputs(assignment("a"), steps=[("site", ChangeLabels(options))]))
    removed, renamed, added = steps_of(one)[1:]
    assert (removed.rule, removed.removed) == ("remove envs, no", {"envs": ",prod,"})
    assert (renamed.rule, renamed.removed, renamed.added) == (
        "rename env=stage, job=env",
        {"job": "backend"},
        {"stage": "prod"},
    )
    assert renamed.changed == {"env": ("prod", "backend")}
    assert (added.rule, added.added) == ("add site=fra", {"site": "fra"})


def test_a_transform_that_tells_nothing_is_explained_by_the_difference() -> None:
    one = explained(
        explain_inputs(assignment("a"), steps=[("mine", lambda labels, _target: [labels | {"env": "x", "a": "b"}])])
    )
    *_, step = steps_of(one)
    assert (step.changed, step.added) == ({"env": ("prod", "x")}, {"a": "b"})
    one = explained(explain_inputs(assignment("a"), steps=[("mine", lambda _labels, _target: [])]))
    assert steps_of(one)[-1] == Step("mine", "kind", outcome="dropped")


def test_each_of_several_results_has_its_own_way() -> None:
    def twice(labels: Labels, _target: Target) -> Iterator[Labels]:
        yield labels | {"copy": "1", "__address__": ""}
        yield labels | {"copy": "2"}
        yield labels | {"copy": "3"}

    where = explain_inputs(assignment("a"), steps=[("twice", twice), ("some", only("copy!=2"))])
    first, second, third = traces_of(explained(where))
    assert first.steps[-1] == Step("address", outcome="dropped", reason="no __address__ is left")
    assert (second.steps[-1].outcome, second.group) == ("dropped", None)
    assert third.group
    assert third.group.labels["copy"] == "3"
    # The first counts as a place, the second does not: as the branch has it.
    verdict = verdict_of(explained(where))
    assert (verdict.verdict, [group.labels["copy"] for group in verdict.groups]) == ("published", ["3"])


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (LabelLimits(labels=2), "limits: it has 4 labels, more than max-labels (2)"),
        (LabelLimits(label_value_length=5), "limits: the name of one of its labels is longer than"),
    ],
)
def test_what_is_beyond_the_limits_is_left_out(limits: LabelLimits, reason: str) -> None:
    one = explained(explain_inputs(assignment("a"), limits=limits))
    assert verdict_of(one).verdict == "failed"
    assert verdict_of(one).why.startswith(reason)


def test_a_transform_that_fails_is_named_with_the_reason() -> None:
    def fail(_labels: Labels, _target: Target) -> Iterable[Labels]:
        raise TransformError("no site for it")

    one = explained(explain_inputs(assignment("a"), steps=[("site", fail)]))
    assert steps_of(one)[-1] == Step("site", "kind", outcome="failed", reason="no site for it")
    one = explained(explain_inputs(assignment("a"), steps=[("site", lambda _labels, _target: 1 / 0)]))
    assert verdict_of(one).why.startswith("site (kind): unexpected ZeroDivisionError: ")
    one = explained(explain_inputs(assignment("a"), steps=[("site", lambda labels, _target: [labels | {"n": 1}])]))
    assert steps_of(one)[-1] == Step("site", "kind", outcome="failed", reason="label 'n' is 1, which is no str")


class Liar:
    """Tells other things than it does."""

    def __init__(self, told: object) -> None:
        self.told = told

    def __call__(self, labels: Labels, _target: Target) -> list[Labels]:
        return [labels | {"truth": "1"}]

    def explain(self, _labels: Labels, _target: Target) -> object:
        return self.told


@pytest.mark.parametrize("told", [[("rule", None)], [], None, [1], [("rule", {"lie": "1"})]])
def test_what_a_transform_does_counts_whatever_it_tells(told: object) -> None:
    (trace,) = traces_of(explained(explain_inputs(assignment("a"), steps=[("liar", Liar(told))])))
    assert trace.group
    assert trace.group.labels["truth"] == "1"
    assert any("truth" in step.added for step in trace.steps)


def test_what_cannot_be_read_says_why() -> None:
    one = explained(explain_inputs(replace(assignment("a"), data=b"{")))
    assert one.received.failure.startswith("unexpected ")
    assert (verdict_of(one).verdict, verdict_of(one).why) == ("failed", f"assignment: {one.received.failure}")


def test_explaining_counts_nothing_and_converts_nothing_again() -> None:
    where = explain_inputs(assignment("a", labels={"a-b": "c"}), steps=[("nat", relabel())])
    (chain_input,) = where.chains
    before = chain_input.chain.converted, chain_input.chain.profile.repaired
    explained(where)
    assert (chain_input.chain.converted, chain_input.chain.profile.repaired) == before


def test_any_chain_ends_with_what_the_branch_publishes() -> None:
    chosen = random.Random(1)
    for _ in range(100):
        rules = [
            f"- {{action: {chosen.choice(['keep', 'drop'])}, source_labels: [env], regex: '{chosen.choice('ab')}'}}",
            f"- {{source_labels: [env], target_label: {chosen.choice(['__address__', 'env', 'x'])}, regex: (.).*}}",
            f"- {{action: labelmap, regex: e(.*), replacement: {chosen.choice(['$1', 'job'])}}}",
        ]
        kept = "\n".join(chosen.sample(rules, chosen.randint(1, 3)))
        where = explain_inputs(
            assignment("a", labels={"env": chosen.choice(["a", "b", "c"])}), steps=[("r", relabel(kept))]
        )
        publication = where.chains[0].outputs[0].publication
        assert publication
        (trace,) = traces_of(explained(where))
        groups = [(group.targets, group.labels) for group in publication.groups]
        assert groups == ([(trace.group.targets, trace.group.labels)] if trace.group else [])
