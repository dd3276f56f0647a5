from collections.abc import Iterable

from explain_kit import Sharded, Silent, explain_inputs, explained, same, verdict_of
from msgspec.structs import replace

from kuma_sd import Labels, Publication, Target, TargetGroup
from kuma_sd.explain import ExplainInputs, explain
from kuma_sd.explain.inputs import ControlPlaneInput
from kuma_sd.telemetry.explanation import Identity, Verdict
from kuma_sd.testing import assignment, publication


def with_publication(where: ExplainInputs, published: Publication | None, failing: str = "") -> ExplainInputs:
    (chain_input,) = where.chains
    end = replace(chain_input.outputs[0], publication=published, failing=failing)
    return replace(where, chains=[replace(chain_input, outputs=(end,))])


def test_what_is_published_is_shown_as_it_is() -> None:
    verdict = verdict_of(explained(explain_inputs(assignment("a"), assignment("b"), assignment("c")), 1))
    assert (verdict.verdict, verdict.why) == ("published", "")
    assert [group.labels["dataplane"] for group in verdict.groups] == ["b"]


def test_a_group_that_is_published_for_another_target_says_for_which() -> None:
    def alike(labels: Labels, _target: Target) -> Iterable[Labels]:
        return [{"__address__": labels["__address__"]}]

    where = explain_inputs(assignment("a"), assignment("b"), steps=[("alike", alike)])
    assert verdict_of(explained(where)).verdict == "published"
    verdict = verdict_of(explained(where, 1))
    assert (verdict.verdict, verdict.why) == ("duplicate", "the same group is published for dataplane a, mesh default")
    assert [group.same_as for group in verdict.groups] == [Identity("", "default", "a", 0)]


def test_a_failure_keeps_what_was_good_or_leaves_it_out() -> None:
    def fragile(labels: Labels, target: Target) -> Iterable[Labels]:
        return [labels] if target.service == "backend" else [labels][1 / 0]  # type: ignore[call-overload] # (it fails)

    where = explain_inputs(assignment("a"), steps=[("fragile", fragile)])
    (chain_input,) = where.chains
    bad = [assignment("a", service="bad"), assignment("b", service="bad")]
    where = with_publication(where, chain_input.chain.publication(bad, 2.0))
    where = replace(where, control_planes=[ControlPlaneInput(bad)])
    kept, failed = (verdict_of(explained(where, place)) for place in (0, 1))
    assert (kept.verdict, failed.verdict) == ("kept", "failed")
    assert kept.why == failed.why
    assert kept.why.startswith("fragile (kind): unexpected ZeroDivisionError: ")
    assert [group.labels["service"] for group in kept.groups] == ["backend"]


def test_a_failure_that_has_passed_is_told_for_it_is_not_tried_again() -> None:
    failing = [True]

    def flaky(labels: Labels, _target: Target) -> Iterable[Labels]:
        if failing:
            raise ValueError(failing.pop())
        return [labels]

    verdict = verdict_of(explained(explain_inputs(assignment("a"), steps=[("flaky", flaky)])))
    assert (verdict.verdict, verdict.why) == ("failed", "function: unexpected ValueError: True")


def test_what_an_output_has_not_published_yet_is_waiting() -> None:
    where = explain_inputs(assignment("a"))
    assert verdict_of(explained(with_publication(where, None))) == Verdict(
        "out", "waiting", "the output has not published it yet"
    )
    failing = with_publication(where, publication("a"), "disk full")
    assert verdict_of(explained(failing)).verdict == "published"
    failing = with_publication(where, publication("b"), "disk full")
    assert verdict_of(explained(failing)) == Verdict("out", "waiting", "disk full")
    dropped = with_publication(explain_inputs(assignment("a"), steps=[("none", lambda *_: [])]), publication("a"))
    assert verdict_of(explained(dropped)).verdict == "waiting"


def test_what_is_held_is_said_and_published() -> None:
    where = explain_inputs(assignment("a"), plane=lambda found: ControlPlaneInput(found, held={assignment("a").key}))
    one = explained(where)
    assert (one.state, verdict_of(one).verdict) == ("held", "published")


def test_what_has_expired_is_not_published() -> None:
    where = explain_inputs(assignment("a"), plane=lambda found: ControlPlaneInput(found, expired=True))
    one = explained(with_publication(where, publication()))
    assert (one.state, verdict_of(one).verdict) == ("expired", "expired")


def test_an_output_may_say_where_it_puts_a_group_or_that_it_does_not() -> None:
    where = explain_inputs(
        assignment("a", address="10.0.0.1:80"), assignment("b", address="10.0.0.1:81"), output=Sharded()
    )
    first, second = (verdict_of(explained(where, place)) for place in (0, 1))
    assert [group.where for group in first.groups] == ["shard 0"]
    assert second == Verdict("out", "dropped", "it belongs to shard 1")


def test_an_output_that_cannot_say_it_is_no_reason_to_say_nothing() -> None:
    class Broken(Silent):
        def explain(self, _group: TargetGroup) -> tuple[str, bool]:
            raise ValueError("no idea")

    verdict = verdict_of(explained(explain_inputs(assignment("a"), output=Broken())))
    assert verdict.verdict == "published"
    assert verdict.groups[0].where == "explain() of the output fails: unexpected ValueError: no idea"


def test_outputs_with_the_same_way_each_have_their_verdict() -> None:
    where = explain_inputs(assignment("a"), steps=[("same", same)])
    (chain_input,) = where.chains
    other = replace(chain_input.outputs[0], name="other", publication=None)
    where = replace(where, chains=[replace(chain_input, outputs=(*chain_input.outputs, other))])
    (chain,) = explain(assignment("a"), where.control_planes[0], where).chains
    assert [(output.output, output.verdict) for output in chain.outputs] == [("out", "published"), ("other", "waiting")]
    assert (chain.label_profile, chain.transforms) == ("kuma-prometheus-sd", ("same",))
