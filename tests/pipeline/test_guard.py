from collections.abc import Iterable
from dataclasses import replace

import pytest

from kuma_sd import Snapshot
from kuma_sd.pipeline.guard import Guard
from kuma_sd.telemetry.top_counts import Count
from kuma_sd.testing import assignment, snapshot

FOREVER = float("inf")


def numbered(numbers: Iterable[int], mesh: str = "default") -> list[str]:
    return [f"{mesh}-{number:03}" for number in numbers]


def world(*names: str, connected: float = -1000.0, unreadable: Iterable[bytes] = ()) -> Snapshot:
    """Return a snapshot of an old contact; the mesh of a dataplane is what its name begins with."""
    assignments = [assignment(name, mesh=name.partition("-")[0]) for name in names]
    return snapshot(*assignments, connected=connected, unreadable=unreadable)


def admitted(guard: Guard, answer: Snapshot, now: float) -> list[str]:
    """Return the names that are published after an answer."""
    guard.admit(answer, now)
    return published(guard)


def published(guard: Guard) -> list[str]:
    return [entry.key.name for entry in guard.published]


def test_additions_changes_and_small_losses_pass_at_once() -> None:
    guard = Guard()
    changed = snapshot("a", assignment("b", service="other"), "d", connected=-1000.0)
    guard.admit(snapshot("a", "b", "c", connected=-1000.0), now=1)
    guard.admit(changed, now=2)
    assert guard.published == changed.assignments
    assert guard.deadline == FOREVER


def test_what_vanishes_with_more_than_half_stays_until_its_hold_is_over() -> None:
    guard = Guard(hold=120)
    guard.admit(world(*numbered(range(10))), now=0)
    few = world(*numbered(range(4)))
    assert admitted(guard, few, now=10) == numbered(range(10))
    assert guard.status.held.meshes.top == (Count("default", 6),)
    assert guard.deadline == 130
    assert admitted(guard, few, now=129.9) == numbered(range(10))
    guard.release(now=130)
    assert published(guard) == numbered(range(4))
    assert not guard.status.held.targets


def test_exactly_half_may_go() -> None:
    guard = Guard()
    guard.admit(world(*numbered(range(10))), now=0)
    assert admitted(guard, world(*numbered(range(5))), now=10) == numbered(range(5))


def test_what_vanishes_is_judged_beside_what_was_published_whatever_arrives() -> None:
    guard = Guard()
    guard.admit(world(*numbered(range(10))), now=0)
    others = numbered(range(100, 200))
    assert admitted(guard, world(*numbered(range(4)), *others), now=10) == [*numbered(range(10)), *others]


def test_newer_answers_never_extend_a_hold() -> None:
    guard = Guard(hold=120)
    guard.admit(world(*numbered(range(10))), now=0)
    for now in range(10, 130):
        assert len(admitted(guard, world(*numbered(range(4))), now)) == 10
    assert len(admitted(guard, world(*numbered(range(4))), now=130)) == 4


def test_what_returns_is_no_longer_held() -> None:
    guard = Guard(hold=120)
    guard.admit(world("a", "b", "c"), now=0)
    guard.admit(world(), now=10)
    assert admitted(guard, world("b"), now=20) == ["a", "b", "c"]
    assert guard.status.held.meshes.top == (Count("a", 1), Count("c", 1))
    assert admitted(guard, world("b"), now=130) == ["b"]


def test_a_change_of_a_returning_target_passes() -> None:
    guard = Guard()
    guard.admit(snapshot("a", connected=-1000.0), now=0)
    guard.admit(snapshot(connected=-1000.0), now=1)
    changed = assignment("a", service="other")
    guard.admit(snapshot(changed, connected=-1000.0), now=2)
    assert list(guard.published) == [changed]


def test_a_slow_bleed_is_noticed_and_what_was_let_go_stays_gone() -> None:
    guard = Guard(hold=120)
    sizes = [len(admitted(guard, world(*numbered(range(count))), now)) for now, count in enumerate([100, 60, 36, 22])]
    assert sizes == [100, 60, 60, 60]


def test_after_the_hold_a_bleed_counts_anew() -> None:
    guard = Guard(hold=120)
    story = [(0, 100), (10, 60), (130, 36), (251, 22)]
    sizes = [len(admitted(guard, world(*numbered(range(count))), now)) for now, count in story]
    assert sizes == [100, 60, 36, 22]


def test_a_refill_to_just_over_half_releases_nothing() -> None:
    guard = Guard(hold=120)
    guard.admit(world(*numbered(range(100))), now=0)
    guard.admit(world(), now=10)
    assert len(admitted(guard, world(*numbered(range(51))), now=20)) == 100
    assert len(admitted(guard, world(*numbered(range(51))), now=130)) == 51


def test_a_lost_mesh_is_noticed_though_the_whole_lost_little() -> None:
    guard = Guard(hold=120)
    big, small = numbered(range(90), "big"), numbered(range(10), "small")
    guard.admit(world(*big, *small), now=0)
    assert admitted(guard, world(*big[:80]), now=10) == [*big[:80], *small]
    assert guard.status.held.meshes.top == (Count("small", 10),)
    assert "small" in guard.status.held.why
    assert guard.status.held.suspicious


@pytest.mark.parametrize("gone", [1, 30])
def test_nothing_goes_soon_after_a_contact_began(gone: int) -> None:
    guard = Guard(hold=120)
    guard.admit(world(*numbered(range(100))), now=0)
    fewer = world(*numbered(range(100 - gone)), connected=10)
    assert len(admitted(guard, fewer, now=20)) == 100
    assert not guard.status.held.suspicious
    assert len(admitted(guard, fewer, now=140)) == 100 - gone


def test_long_after_a_contact_began_small_losses_pass() -> None:
    guard = Guard(hold=120)
    guard.admit(world(*numbered(range(100)), connected=0), now=1)
    assert len(admitted(guard, world(*numbered(range(99)), connected=0), now=121)) == 99


def test_what_vanished_soon_after_a_reconnect_holds_no_later_one() -> None:
    guard = Guard(hold=120)
    guard.admit(world(*numbered(range(100)), connected=0), now=0)
    guard.admit(world(*numbered(range(1, 100)), connected=0), now=119)
    assert len(admitted(guard, world(*numbered(range(2, 100)), connected=0), now=121)) == 99
    guard.release(now=239)
    assert len(guard.published) == 98


def test_a_lost_contact_begins_the_hold_anew() -> None:
    guard = Guard(hold=120)
    guard.admit(world(*numbered(range(10))), now=0)
    guard.admit(world(), now=10)
    guard.lose_contact()
    assert guard.deadline == FOREVER
    assert len(admitted(guard, world(connected=200), now=200)) == 10
    assert guard.deadline == 320


def test_a_hold_that_is_begun_anew_twice_is_suspicious() -> None:
    guard = Guard(hold=120)
    guard.admit(world(*numbered(range(10)), connected=0), now=0)
    guard.admit(world(*numbered(range(9)), connected=0), now=10)
    guard.lose_contact()
    assert not guard.status.held.suspicious
    guard.lose_contact()
    assert guard.status.held.suspicious


def test_a_connection_that_is_closed_and_restored_at_once_begins_the_hold_of_many_anew_and_not_of_a_few() -> None:
    guard = Guard(hold=120)
    guard.admit(world(*numbered(range(10)), connected=0), now=0)
    guard.admit(world(*numbered(range(9)), connected=0), now=10)
    for _ in range(3):
        guard.break_off()
    assert not guard.status.held.suspicious
    guard.admit(world(connected=0), now=20)
    guard.break_off()
    assert guard.deadline == 130
    assert len(admitted(guard, world(connected=0), now=130)) == 9
    assert guard.deadline == 250


class TestAResourceThatCannotBeRead:
    def test_keeps_what_vanished_in_the_same_answer_until_it_is_gone(self) -> None:
        guard = Guard(hold=120)
        guard.admit(world(*numbered(range(10))), now=0)
        broken = world(*numbered(range(9)), unreadable=[b"x"])
        assert len(admitted(guard, broken, now=10)) == 10
        assert guard.status.held.doubtful == 1
        assert len(admitted(guard, broken, now=1000)) == 10
        assert guard.deadline == FOREVER
        assert len(admitted(guard, world(*numbered(range(9))), now=1001)) == 9

    def test_keeps_it_also_with_a_hold_of_zero(self) -> None:
        guard = Guard(hold=0)
        guard.admit(world("a", "b"), now=0)
        assert admitted(guard, world("a", unreadable=[b"x"]), now=10) == ["a", "b"]

    def test_keeps_it_while_its_bytes_change(self) -> None:
        guard = Guard(hold=120)
        guard.admit(world(*numbered(range(10))), now=0)
        guard.admit(world(*numbered(range(9)), unreadable=[b"x"]), now=10)
        assert len(admitted(guard, world(*numbered(range(9)), unreadable=[b"y"]), now=20)) == 10
        assert len(admitted(guard, world(*numbered(range(9))), now=30)) == 9

    def test_keeps_nothing_that_vanishes_later(self) -> None:
        guard = Guard(hold=120)
        guard.admit(world(*numbered(range(10)), unreadable=[b"x"]), now=0)
        assert len(admitted(guard, world(*numbered(range(9)), unreadable=[b"x"]), now=10)) == 9

    def test_keeps_what_is_missing_since_a_start(self) -> None:
        guard = Guard(hold=120)
        guard.restore(world(*numbered(range(10))).assignments)
        guard.admit(world(connected=5), now=5)
        guard.admit(world(*numbered(range(9)), connected=5, unreadable=[b"x"]), now=10)
        guard.release(now=1000)
        assert len(guard.published) == 10

    def test_lets_go_when_somebody_accepts(self) -> None:
        guard = Guard(hold=120)
        guard.admit(world("a", "b", "c"), now=0)
        guard.admit(world("a", "b", unreadable=[b"x"]), now=10)
        guard.accept()
        assert published(guard) == ["a", "b"]


def test_what_the_settings_leave_out_goes_at_once_and_counts_as_no_loss() -> None:
    guard = Guard(hold=120)
    guard.admit(world(*numbered(range(10)), connected=0), now=0)
    few = world(*numbered(range(2)), connected=0)
    keys = [entry.key for entry in guard.published]
    assert admitted(guard, replace(few, left_out=frozenset(keys[4:])), now=1) == numbered(range(4))
    assert guard.status.held.targets == 2


def test_what_is_held_goes_when_the_settings_leave_it_out() -> None:
    guard = Guard(hold=120)
    guard.admit(world(*numbered(range(10)), connected=0), now=0)
    keys = [entry.key for entry in guard.published]
    guard.admit(world(connected=0, unreadable=[b"?"]), now=1)
    assert guard.status.held.doubtful == 10
    assert admitted(
        guard, replace(world(connected=0, unreadable=[b"?"]), left_out=frozenset(keys[:9])), now=2
    ) == numbered([9])


def test_a_hold_of_zero_gives_way_at_once() -> None:
    guard = Guard(hold=0)
    guard.admit(world("a", "b"), now=0)
    assert admitted(guard, world(connected=1), now=1) == []


def test_a_hold_of_forever_never_gives_way_by_itself() -> None:
    guard = Guard(hold=FOREVER)
    guard.admit(world("a", "b"), now=0)
    assert admitted(guard, world(), now=1e9) == ["a", "b"]
    assert guard.deadline == FOREVER


def test_accepting_lets_everything_go_and_counts_anew() -> None:
    guard = Guard(hold=120)
    guard.admit(world(*numbered(range(10))), now=0)
    guard.admit(world(*numbered(range(4))), now=10)
    guard.accept()
    assert published(guard) == numbered(range(4))
    assert guard.deadline == FOREVER
    assert len(admitted(guard, world(*numbered(range(2))), now=30)) == 2


def test_accepting_before_an_answer_does_nothing() -> None:
    guard = Guard()
    guard.restore(world("a", "b").assignments)
    guard.accept()
    assert published(guard) == ["a", "b"]
    assert admitted(guard, world(connected=5), now=5) == ["a", "b"]


def test_after_a_restart_the_hold_starts_anew() -> None:
    guard = Guard(hold=120)
    guard.restore(world("a", "b").assignments)
    assert admitted(guard, world("b", connected=5), now=5) == ["a", "b"]
    assert admitted(guard, world("b", connected=5), now=125) == ["b"]


def test_a_renamed_control_plane_keeps_its_targets_and_its_holds() -> None:
    guard = Guard(hold=120)
    guard.admit(world("a", "b", "c"), now=0)
    guard.admit(world(), now=10)
    guard.rename("east")
    assert {entry.key.control_plane for entry in guard.published} == {"east"}
    assert {key.control_plane for key in guard.status.keys} == {"east"}
    guard.release(now=130)
    assert published(guard) == []
