import time

import pytest
from explain_kit import explain_inputs
from msgspec.structs import replace

from kuma_sd import ConfigError
from kuma_sd.explain import ExplainInputs, answer, containing, find, parse_selector
from kuma_sd.explain.inputs import ControlPlaneInput
from kuma_sd.testing import assignment

WEB = assignment("web-01", mesh="payments", service="web", address="10.0.0.1:80", labels={"env": "prod", "a.b": "c"})
DB = assignment("db", mesh="payments", service="db", address="[2001:db8::1]:5432", labels={"env": "Test"})
ODD = assignment('odd"ü', service="web", address="10.0.0.1:81", labels={"instance": "odd-1"})
BROKEN = replace(assignment("broken"), data=b"{")


@pytest.fixture
def where() -> ExplainInputs:
    return explain_inputs(BROKEN, ODD, DB, WEB)


def names(where: ExplainInputs, text: str) -> list[str]:
    return [explained.key.name for _, explained in find(where, parse_selector(text))]


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("web-01", ["web-01"]),
        ("web", []),
        (" db ", ["db"]),
        ('odd"ü', ['odd"ü']),
        ("odd-1", ['odd"ü']),
        ("10.0.0.1", ['odd"ü', "web-01"]),
        ("10.0.0.1:81", ['odd"ü']),
        ("10.0.0", []),
        ("2001:db8::1", ["db"]),
        ("[2001:db8::1]:5432", ["db"]),
        ("broken", ["broken"]),
        ("mesh=payments", ["db", "web-01"]),
        ('{mesh="payments", env="prod"}', ["web-01"]),
        ("mesh!=payments", ["broken", 'odd"ü']),
        ("env=prod", ["web-01"]),
        ("env=prod, service=db", []),
        ("job=web, __scheme__=http", ['odd"ü', "web-01"]),
        ("service=web", ['odd"ü', "web-01"]),
        ('dataplane=~"w.*", job=web', ["web-01"]),
        ("dataplane=broken", ["broken"]),
        ("a_b=c", ["web-01"]),
        ('__address__=~".*:80"', ["web-01"]),
        ("__meta_kuma_service=db", ["db"]),
        ("control_plane=east", []),
        ("web prod", ["web-01"]),
        ("PAYMENTS test", ["db"]),
        ("10.0.0 web", ['odd"ü', "web-01"]),
        ("web nothing", []),
        ("{}", ["broken", 'odd"ü', "db", "web-01"]),
    ],
)
def test_selectors_find_what_they_say(where: ExplainInputs, selector: str, found: list[str]) -> None:
    assert names(where, selector) == found


@pytest.mark.parametrize("selector", ["", " ", "mesh=", "mesh=~(", "=x"])
def test_what_is_no_selector_is_refused(selector: str) -> None:
    with pytest.raises(ConfigError):
        parse_selector(selector)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ["broken", 'odd"ü', "db", "web-01"]),
        ("WEB", ['odd"ü', "web-01"]),
        ("payment", ["db", "web-01"]),
        (":5432", ["db"]),
        ("test", ["db"]),
        ("Ü", ['odd"ü']),
        ("backend", []),
        ("brok", ["broken"]),
        ("metrics", []),
    ],
)
def test_a_text_is_found_in_names_addresses_and_values(where: ExplainInputs, text: str, found: list[str]) -> None:
    assert [explained.key.name for _, explained in find(where, containing(text))] == found


def test_finding_goes_no_further_than_it_is_asked() -> None:
    class Counting:
        name = "counting"

        def read(self, *_: object) -> None:
            raise AssertionError("it was read")

    first = [assignment(f"a-{number}") for number in range(3)]
    where = ExplainInputs([ControlPlaneInput([*first, replace(WEB, codec=Counting())])], [])
    found = find(where, parse_selector("env=prod"))
    assert next(found)[1].key.name == "a-0"
    assert answer(where, parse_selector("env=prod"), limit=1, offset=1).targets[0].target.dataplane == "a-1"


def test_answers_are_paged() -> None:
    where = explain_inputs(*(assignment(f"web-{number}") for number in range(5)))
    everything = parse_selector("{}")
    assert [
        (len(explained.targets), explained.more)
        for explained in (answer(where, everything, limit=n) for n in (1, 4, 5, 9))
    ] == [*((1, True), (4, True), (5, False), (5, False))]
    last = answer(where, everything, limit=2, offset=4)
    assert ([target.target.dataplane for target in last.targets], last.more) == (["web-4"], False)
    assert answer(where, everything, offset=5).targets == ()


def test_what_may_have_been_meant_is_said(where: ExplainInputs) -> None:
    assert answer(where, parse_selector("web-1")).near == ("web-01",)
    assert answer(where, parse_selector("10.0.0.1:82")).near == ("10.0.0.1:81", "10.0.0.1:80")
    assert answer(where, parse_selector("mesh=paymets, dataplane=db")).near == ("payments",)
    assert answer(where, parse_selector("mesh=payments, env=no")).near == ()
    assert answer(where, parse_selector("web-01")).near == ()


@pytest.mark.parametrize(
    ("text", "near"),
    [("broken:80", ("broken",)), ('dataplane="broken:80"', ("broken",)), ('mesh="a={}:80"', ()), ('mesh=" :80"', ())],
)
def test_a_name_with_a_colon_that_leads_to_no_address_is_no_failure(
    where: ExplainInputs, text: str, near: tuple[str, ...]
) -> None:
    assert answer(where, parse_selector(text)).near == near


def test_near_names_are_found_among_very_many_in_time() -> None:
    where = explain_inputs(
        *sorted(assignment(f"web-{number:06}-{number * 7919 % 99991:05x}") for number in range(20_000))
    )
    begun = time.process_time()
    (plane,) = where.control_planes
    known = plane.assignments[12_345].key.name
    assert known in answer(where, parse_selector(f"{known}x")).near
    assert [found.target.dataplane for found in answer(where, parse_selector(known[4:])).targets] == [known]
    assert time.process_time() - begun < 2


def test_one_output_can_be_asked_for(where: ExplainInputs) -> None:
    assert [verdict.output for verdict in answer(where, parse_selector("db"), "out").targets[0].verdicts] == ["out"]
    with pytest.raises(ConfigError, match=r"^there is no output 'otu'; did you mean 'out'\?$"):
        answer(where, parse_selector("db"), "otu")


@pytest.mark.parametrize(
    ("word", "found"), [("web", ['odd"ü', "web-01"]), ("10.0.0", ['odd"ü', "web-01"]), ("wbe-01", [])]
)
def test_a_word_that_is_no_name_is_looked_for_everywhere(where: ExplainInputs, word: str, found: list[str]) -> None:
    result = answer(where, parse_selector(word))
    assert [explained.target.dataplane for explained in result.targets] == found
    assert result.near == (() if found else ("web-01",))
