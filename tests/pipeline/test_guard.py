from collections.abc import Iterable

import pytest

from kuma_sd import Snapshot
from kuma_sd.pipeline.guard import Guard
from kuma_sd.testing import assignment, snapshot


def names(admitted: Snapshot) -> list[str]:
    return [entry.key.name for entry in admitted.assignments]


def numbered(numbers: Iterable[int], mesh: str = "default") -> list[str]:
    return [f"{mesh}-{number:03}" for number in numbers]


def world(*names: str, connected: float = -1000.0, complete: bool = True) -> Snapshot:
    """Return a snapshot over an old connection; the mesh of a dataplane is what its name begins with."""
    assignments = [assignment(name, mesh=name.partition("-")[0]) for name in names]
    return snapshot(*assignments, connected=connected, complete=complete)


def test_additions_changes_and_small_losses_pass_at_once() -> None:
    guard = Guard()
    changed = snapshot("a", assignment("b", service="other"), "d", connected=-1000.0)
    guard.admit(snapshot("a", "b", "c", connected=-1000.0), now=1)
    assert guard.admit(changed, now=2).assignments == changed.assignments
    assert guard.deadline is None


def test_what_vanishes_with_more_than_half_stays_until_its_hold_is_over() -> None:
    guard = Guard(hold=120)
    guard.admit(world(*numbered(range(10))), now=0)
    few = world(*numbered(range(4)))
    assert names(guard.admit(few, now=10)) == numbered(range(10))
    assert guard.status.held == {"default": 6}
    assert guard.deadline == 130
    assert names(guard.admit(few, now=129.9)) == numbered(range(10))
    assert names(guard.admit(few, now=130)) == numbered(range(4))
    assert guard.status.held == {}


def test_exactly_half_may_go() -> None:
    guard = Guard()
    guard.admit(world(*numbered(range(10))), now=0)
    assert names(guard.admit(world(*numbered(range(5))), now=10)) == numbered(range(5))


def test_newer_snapshots_never_extend_a_hold() -> None:
    guard = Guard(hold=120)
    guard.admit(world(*numbered(range(10))), now=0)
    for now in range(10, 130):
        assert len(guard.admit(world(*numbered(range(4))), now).assignments) == 10
    assert len(guard.admit(world(*numbered(range(4))), now=130).assignments) == 4


def test_what_returns_is_no_longer_held() -> None:
    guard = Guard(hold=120)
    guard.admit(world("a", "b", "c"), now=0)
    guard.admit(world(), now=10)
    assert names(guard.admit(world("b"), now=20)) == ["a", "b", "c"]
    assert guard.status.held == {"a": 1, "c": 1}
    assert names(guard.admit(world("b"), now=130)) == ["b"]


def test_a_change_of_a_returning_target_passes() -> None:
    guard = Guard()
    guard.admit(snapshot("a", connected=-1000.0), now=0)
    guard.admit(snapshot(connected=-1000.0), now=1)
    changed = assignment("a", service="other")
    assert list(guard.admit(snapshot(changed, connected=-1000.0), now=2).assignments) == [changed]


def test_a_slow_bleed_is_noticed_and_what_was_let_go_stays_gone() -> None:
    guard = Guard(hold=120)
    sizes = [
        len(guard.admit(world(*numbered(range(count))), now).assignments) for now, count in enumerate([100, 60, 36, 22])
    ]
    assert sizes == [100, 60, 60, 60]


def test_after_the_hold_a_bleed_counts_anew() -> None:
    guard = Guard(hold=120)
    sizes = [
        len(guard.admit(world(*numbered(range(count))), now).assignments)
        for now, count in [(0, 100), (10, 60), (130, 36), (251, 22)]
    ]
    assert sizes == [100, 60, 36, 22]


def test_a_refill_to_just_over_half_releases_nothing() -> None:
    guard = Guard(hold=120)
    guard.admit(world(*numbered(range(100))), now=0)
    guard.admit(world(), now=10)
    assert len(guard.admit(world(*numbered(range(51))), now=20).assignments) == 100
    assert len(guard.admit(world(*numbered(range(51))), now=130).assignments) == 51


def test_a_lost_mesh_is_noticed_though_the_whole_lost_little() -> None:
    guard = Guard(hold=120)
    big, small = numbered(range(90), "big"), numbered(range(10), "small")
    guard.admit(world(*big, *small), now=0)
    admitted = guard.admit(world(*big[:80]), now=10)
    assert names(admitted) == [*big[:80], *small]
    assert guard.status.held == {"small": 10}
    assert "small" in guard.status.why


@pytest.mark.parametrize("gone", [1, 30])
def test_nothing_goes_soon_after_a_connection_was_made(gone: int) -> None:
    guard = Guard(hold=120)
    guard.admit(world(*numbered(range(100))), now=0)
    fewer = world(*numbered(range(100 - gone)), connected=10)
    assert len(guard.admit(fewer, now=20).assignments) == 100
    assert len(guard.admit(fewer, now=140).assignments) == 100 - gone


def test_long_after_a_connection_was_made_small_losses_pass() -> None:
    guard = Guard(hold=120)
    guard.admit(world(*numbered(range(100)), connected=0), now=1)
    assert len(guard.admit(world(*numbered(range(99)), connected=0), now=121).assignments) == 99


def test_an_incomplete_snapshot_takes_nothing_away_before_the_hold() -> None:
    guard = Guard(hold=120)
    guard.admit(world(*numbered(range(10))), now=0)
    incomplete = world(*numbered(range(9)), complete=False)
    assert len(guard.admit(incomplete, now=10).assignments) == 10
    assert len(guard.admit(incomplete, now=130).assignments) == 9


def test_a_hold_of_zero_gives_way_at_once() -> None:
    guard = Guard(hold=0)
    guard.admit(world("a", "b"), now=0)
    assert names(guard.admit(world(connected=1), now=1)) == []


def test_a_hold_of_forever_never_gives_way_by_itself() -> None:
    guard = Guard(hold=float("inf"))
    guard.admit(world("a", "b"), now=0)
    assert names(guard.admit(world(), now=1e9)) == ["a", "b"]
    assert guard.deadline == float("inf")


def test_accepting_lets_everything_go_and_counts_anew() -> None:
    guard = Guard(hold=120)
    guard.admit(world(*numbered(range(10))), now=0)
    four = world(*numbered(range(4)))
    guard.admit(four, now=10)
    guard.accept()
    assert len(guard.admit(four, now=20).assignments) == 4
    assert guard.deadline is None
    assert len(guard.admit(world(*numbered(range(2))), now=30).assignments) == 2


def test_after_a_restart_the_hold_starts_anew() -> None:
    guard = Guard(hold=120)
    guard.restore(world("a", "b").assignments)
    assert names(guard.admit(world("b", connected=5), now=5)) == ["a", "b"]
    assert names(guard.admit(world("b", connected=5), now=125)) == ["b"]


def test_holding_and_its_end_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    guard = Guard("east", hold=120)
    guard.admit(world("a", "b"), now=0)
    for now in (10, 20, 130, 140):
        guard.admit(world(), now)
    held, let_go = [record.getMessage() for record in caplog.records]
    assert held.endswith("vanished but stay for up to 2m: 2 of 2 vanished; 'kuma-sd accept' lets them go")
    assert let_go == "control plane east: no vanished target is held any more"
