from msgspec.structs import replace

from kuma_sd import Assignment
from kuma_sd.pipeline.ordinals import with_stable_ordinals
from kuma_sd.testing import assignment


def db(address: str, ordinal: int = 0, **facts: str) -> Assignment:
    return assignment("db", index=ordinal, address=address, labels={}, service=facts.get("service", "db"))


def numbered(*namesakes: Assignment) -> list[Assignment]:
    """Number them as a source does: in the order of their bytes."""
    ordered = sorted(namesakes, key=lambda entry: entry.data)
    return [replace(entry, key=replace(entry.key, ordinal=place)) for place, entry in enumerate(ordered)]


def ordinals(assignments: object) -> dict[str, int]:
    assert isinstance(assignments, list)
    return {entry.read().address: entry.key.ordinal for entry in assignments if entry.key.name == "db"}


def test_without_namesakes_nothing_is_touched() -> None:
    answer = [assignment("a"), assignment("b")]
    assert with_stable_ordinals(answer, [], ()) is answer


def test_when_one_vanishes_the_others_keep_their_ordinals() -> None:
    known = numbered(db("a:1"), db("b:1"), db("c:1"))
    stable = with_stable_ordinals([assignment("a"), *numbered(db("b:1"), db("c:1"))], known, ())
    assert ordinals(stable) == {"b:1": 1, "c:1": 2}
    assert stable[1] is known[1]


def test_one_that_changes_is_known_by_its_address() -> None:
    known = numbered(db("a:1"), db("b:1"))
    stable = with_stable_ordinals(numbered(db("a:1", service="z"), db("b:1", service="a")), known, ())
    assert ordinals(stable) == {"a:1": 0, "b:1": 1}


def test_one_with_another_address_takes_the_place_of_the_one_that_vanished_with_it() -> None:
    known = numbered(db("a:1"), db("b:1"))
    assert ordinals(with_stable_ordinals(numbered(db("b:1"), db("c:1")), known, ())) == {"c:1": 0, "b:1": 1}


def test_a_new_one_takes_the_place_of_one_that_vanished_just_now_before_that_of_one_that_is_held() -> None:
    known = numbered(db("a:1"), db("b:1"), db("c:1"))
    stable = with_stable_ordinals(numbered(db("b:1"), db("d:1")), known, {known[0].key})
    assert ordinals(stable) == {"b:1": 1, "d:1": 2}
    stable = with_stable_ordinals(numbered(db("b:1"), db("c:1"), db("d:1")), known, {known[0].key})
    assert ordinals(stable) == {"b:1": 1, "c:1": 2, "d:1": 0}


def test_a_place_that_became_free_is_used_last() -> None:
    known = numbered(db("a:1"), db("b:1"))[1:]
    assert ordinals(with_stable_ordinals(numbered(db("b:1"), db("c:1")), known, ())) == {"b:1": 1, "c:1": 2}


def test_one_that_is_left_alone_keeps_its_ordinal() -> None:
    known = numbered(db("a:1"), db("b:1"))[1:]
    assert ordinals(with_stable_ordinals([db("b:1")], known, ())) == {"b:1": 1}
