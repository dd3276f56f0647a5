"""The age of what is restored goes on over restarts."""

import pytest

from kuma_sd.pipeline.guard import FOREVER
from kuma_sd.pipeline.last_contact import LONGEST_AHEAD_SECONDS, LastContact

HOUR = 3600.0
DAY = 24 * HOUR
NOON = 1_700_000_000.0
"""What the wall clock says when the monotonic one says 0."""


def restored(until: float | None, wall: float = NOON) -> LastContact:
    contact = LastContact(0.0)
    contact.restore(until, wall)
    return contact


def test_the_age_goes_on_by_the_wall_clock() -> None:
    assert restored(NOON - 100).age(None, 5.0) == pytest.approx(105)
    assert restored(NOON - 100).age(2.0, 5.0) == pytest.approx(2)


@pytest.mark.parametrize("until", [None, NOON + DAY, float("inf"), float("nan")])
def test_what_is_not_known_or_in_the_future_counts_from_the_start(until: float | None) -> None:
    assert restored(until).age(None, 5.0) == 5


def test_nothing_is_too_old_while_the_first_answer_is_awaited() -> None:
    contact = restored(NOON - DAY)
    assert contact.overdue(HOUR, 30.0, 29.0) < 0
    assert contact.overdue(HOUR, 30.0, 31.0) == pytest.approx(1)
    assert contact.overdue(10.0, 30.0, 11.0) == pytest.approx(1)
    assert contact.overdue(FOREVER, FOREVER, HOUR) < 0


def test_what_lost_contact_shortly_before_the_restart_is_not_too_old_after_the_wait() -> None:
    contact = restored(NOON - HOUR / 2)
    assert contact.overdue(HOUR, 30.0, HOUR / 2 - 1) == pytest.approx(-1)
    assert contact.overdue(HOUR, 30.0, HOUR / 2 + 1) == pytest.approx(1)


def test_the_saved_moment_is_ahead_of_a_contact_that_lasts_and_changes_rarely() -> None:
    contact, seen = LastContact(0.0), set[float | None]()
    for now in map(float, range(1000)):
        contact.age(0.0, now)
        until = contact.until(HOUR, now, NOON + now)
        assert until is not None
        assert NOON + now <= until <= NOON + now + LONGEST_AHEAD_SECONDS
        seen.add(until)
    assert len(seen) <= 1 + 1000 / 30


def test_a_lost_contact_and_restarts_without_one_change_nothing_that_is_saved() -> None:
    contact = LastContact(0.0)
    contact.age(0.0, 0.0)
    until = contact.until(HOUR, 0.0, NOON)
    contact.age(50.0, 50.0)
    assert contact.until(HOUR, 50.0, NOON + 50) == until
    for stopped in (51.0, 500.0, 5000.0):
        contact = restored(until, NOON + stopped)
        # Between reading one clock and the other a moment passes.
        assert contact.until(HOUR, 10.0, NOON + stopped + 10.2) == until


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_a_clock_that_is_set_changes_what_is_saved_and_not_the_age(jump: float) -> None:
    contact = restored(NOON - 100)
    contact.until(HOUR, 0.0, NOON)
    until = contact.until(HOUR, 1.0, NOON + 1 + jump)
    assert contact.age(None, 1.0) == pytest.approx(101)
    assert until == pytest.approx(NOON - 100 + jump)


def test_nothing_is_saved_without_max_age() -> None:
    assert restored(NOON).until(FOREVER, 1.0, NOON + 1) is None
