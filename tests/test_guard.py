from kuma_sd.guard import Guard
from kuma_sd.testing import assignment, snapshot


def names(admitted: object) -> list[str]:
    return [one.key.name for one in admitted.assignments]  # type: ignore[attr-defined]


def test_a_complete_snapshot_replaces_what_was() -> None:
    guard = Guard()
    guard.admit(snapshot("a", "b"))
    assert names(guard.admit(snapshot("b", "c"))) == ["b", "c"]


def test_an_incomplete_snapshot_takes_nothing_away() -> None:
    guard = Guard()
    guard.admit(snapshot("a", "b", "d"))
    admitted = guard.admit(snapshot(assignment("b", service="other"), "c", complete=False))
    assert names(admitted) == ["a", "b", "c", "d"]
    assert assignment("b", service="other") in admitted.assignments


def test_what_was_kept_goes_with_the_next_complete_snapshot() -> None:
    guard = Guard()
    guard.admit(snapshot("a", "b"))
    guard.admit(snapshot("b", complete=False))
    assert names(guard.admit(snapshot("b"))) == ["b"]


def test_an_incomplete_first_snapshot_is_admitted_as_it_is() -> None:
    assert names(Guard().admit(snapshot("a", complete=False))) == ["a"]
