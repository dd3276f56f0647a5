"""Outputs that do the same with a target, for the same reason, are told together."""

from kuma_sd.telemetry.explanation import (
    ExplainedChain,
    ExplainedGroup,
    Explanation,
    Identity,
    ReceivedAssignment,
    Step,
    Trace,
    Verdict,
)

DROPPED = Trace((Step("nodev", "relabel", "rule 1", "dropped"),), None)
KEPT = Trace((Step("nodev", "relabel", "rule 1", "unchanged"),), None)


def explanation(*chains: tuple[tuple[Verdict, ...], Trace]) -> Explanation:
    made = [ExplainedChain("both", (), verdicts, (trace,)) for verdicts, trace in chains]
    return Explanation(Identity("", "default", "web", 0), "present", ReceivedAssignment("v1", 1), tuple(made))


def dropped(name: str, why: str = "rule 1") -> Verdict:
    return Verdict(name, "dropped", why)


def test_equal_results_and_equal_steps_are_one() -> None:
    found = explanation(
        ((dropped("a"), dropped("b")), DROPPED), ((dropped("c", "rule 2"),), KEPT), ((dropped("d"),), DROPPED)
    )
    assert [(names, verdict.why) for names, verdict in found.results] == [("a, b, d", "rule 1"), ("c", "rule 2")]
    assert found.paths == [("a, b, d", (DROPPED,)), ("c", (KEPT,))]


def test_what_is_published_in_different_places_is_told_apart() -> None:
    places = [ExplainedGroup(["10.0.0.1:1"], {}, where) for where in ("/a.json", "/b.json")]
    verdicts = tuple(Verdict(place.where, "published", "", (place,)) for place in places)
    assert [names for names, _ in explanation((verdicts, KEPT)).results] == ["/a.json", "/b.json"]
