from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuma_sd.core.list_diff import MOST_RANGES, WINDOW, changed_ranges, difference, have_equal_keys, with_objects_of

ITEMS = [(f"item {number}",) for number in range(60)]
lists = st.lists(st.sampled_from(ITEMS), unique=True, max_size=60)


class Counting:
    """An item that counts how often one of them is compared by value."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        Counting.compared += 1
        return self is other

    def __hash__(self) -> int:
        return id(self)


def applied(before: Sequence[object], after: Sequence[object]) -> list[object]:
    """Return the one after the changed ranges were copied from the other."""
    patched = list(before)
    for old, new in reversed(changed_ranges(before, after)):
        patched[old] = after[new]
    return patched


@given(before=lists, after=lists)
def test_what_is_outside_of_the_ranges_is_equal(before: list[object], after: list[object]) -> None:
    assert applied(before, after) == after


@given(before=lists, after=lists)
def test_the_difference_is_that_of_the_sets(before: list[object], after: list[object]) -> None:
    gone, fresh = difference(sorted(before, key=repr), sorted(after, key=repr))
    assert gone == sorted(set(before) - set(after), key=repr)
    assert fresh == sorted(set(after) - set(before), key=repr)


@given(before=lists, removed=st.sets(st.integers(0, 59)), added=st.sets(st.integers(0, 59)))
def test_a_few_changes_are_each_a_range_of_their_own(before: list[object], removed: set[int], added: set[int]) -> None:
    after: list[object] = []
    for place, item in enumerate(before):
        after += [object()] * (place in added) + [item] * (place not in removed)
    assert applied(before, after) == after
    assert applied(tuple(before), tuple(after)) == after
    assert applied(before, tuple(after)) == after


def test_equal_lists_have_no_ranges() -> None:
    assert changed_ranges(ITEMS, ITEMS.copy()) == []
    assert changed_ranges([], []) == []


@pytest.mark.parametrize("changes", [1, 10, 500])
def test_scattered_changes_cost_a_few_comparisons_each(changes: int) -> None:
    before = [Counting() for _ in range(20_000)]
    after = before.copy()
    for place in Random(1).sample(range(20_000), changes):
        after[place] = Counting()
    Counting.compared = 0
    ranges = changed_ranges(before, after)
    assert sum(old.stop - old.start for old, _ in ranges) < changes * WINDOW
    # A block that differs is compared once more at each size that it shrinks to.
    assert Counting.compared < changes * 20


def test_when_too_much_differs_the_rest_is_one_range() -> None:
    before = [object() for _ in range(8 * MOST_RANGES)]
    after = [item if place % 2 else object() for place, item in enumerate(before)]
    assert len(changed_ranges(before, after)) == MOST_RANGES + 1
    assert applied(before, after) == after


def test_a_long_part_that_is_gone_is_one_range() -> None:
    assert changed_ranges(ITEMS, ITEMS[:5] + ITEMS[5 + 2 * WINDOW :]) == [(slice(5, 5 + 2 * WINDOW), slice(5, 5))]


@pytest.mark.parametrize(("before", "after", "equal"), [("ab", "ab", True), ("ab", "ba", False), ("ab", "a", False)])
def test_equal_keys_are_in_equal_order(before: str, after: str, equal: bool) -> None:  # noqa: FBT001 (a parameter)
    assert have_equal_keys(before, after, key=str.upper) is equal


@given(before=lists, after=lists)
def test_what_is_equal_and_in_place_becomes_the_object_of_the_first(
    before: list[tuple[str]], after: list[tuple[str]]
) -> None:
    copies = [(name,) for (name,) in after]
    result = with_objects_of(before, copies)
    assert result == after
    known = {id(item) for item in (*before, *copies)}
    assert all(id(item) in known for item in result)
    unchanged = {id(item) for item in before} - {
        id(item) for old, _ in changed_ranges(before, copies) for item in before[old]
    }
    assert unchanged <= {id(item) for item in result}
