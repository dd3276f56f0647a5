from operator import itemgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuma_sd import IncrementalCache

Item = tuple[str, int]


def doubled(item: Item) -> int:
    return item[1] * 2


def test_a_value_is_computed_once_while_its_item_is_equal() -> None:
    memo: IncrementalCache[str, Item, int] = IncrementalCache(doubled, key=itemgetter(0))
    assert memo.round([("a", 1), ("b", 2)]) == [2, 4]
    assert memo.round([("b", 2), ("a", 1)]) == [4, 2]
    assert memo.computed == 2


def test_another_item_at_the_same_key_is_computed_anew() -> None:
    memo: IncrementalCache[str, Item, int] = IncrementalCache(doubled, key=itemgetter(0))
    memo.round([("a", 1), ("b", 2)])
    assert memo.round([("a", 5), ("b", 2)]) == [10, 4]
    assert memo.computed == 3


def test_keys_that_were_not_asked_for_are_forgotten() -> None:
    memo: IncrementalCache[str, Item, int] = IncrementalCache(doubled, key=itemgetter(0))
    memo.round([("a", 1), ("b", 2)])
    memo.round([("b", 2)])
    assert len(memo) == 1
    assert "a" not in memo
    assert memo.get("b") == 4


def half(item: Item) -> int:
    if item[1] % 2:
        raise ValueError(item)
    return item[1] // 2


def test_a_failure_keeps_the_value_before() -> None:
    memo: IncrementalCache[str, Item, int] = IncrementalCache(half, key=itemgetter(0))
    memo.round([("a", 4)])
    assert memo.round([("a", 5)]) == [2]
    assert list(memo.failures) == ["a"]


def test_a_failure_without_a_value_before_is_left_out_and_not_tried_again() -> None:
    memo: IncrementalCache[str, Item, int] = IncrementalCache(half, key=itemgetter(0))
    for _ in range(3):
        assert memo.round([("a", 5), ("b", 6)]) == [3]
        assert list(memo.failures) == ["a"]
    assert memo.computed == 2


@pytest.mark.parametrize("later", [[("a", 6)], []])
def test_a_failure_ends_with_the_item_that_caused_it(later: list[Item]) -> None:
    memo: IncrementalCache[str, Item, int] = IncrementalCache(half, key=itemgetter(0))
    memo.round([("a", 5)])
    memo.round(later)
    assert not memo.failures


class Unhashable(str):
    """A key that must not be hashed."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]


def test_no_key_is_hashed_where_every_item_replaces_one_of_the_same_key() -> None:
    cache: IncrementalCache[str, Item, int] = IncrementalCache(doubled, key=itemgetter(0))
    keys = [Unhashable(f"key {number}") for number in range(100)]
    for version in range(3):
        assert cache.round([(key, version) for key in keys]) == [2 * version] * 100
    assert cache.computed == 300


def test_equal_values_are_kept_among_changes_at_the_same_keys() -> None:
    cache: IncrementalCache[str, Item, int] = IncrementalCache(half, key=itemgetter(0))
    cache.round([("a", 2), ("b", 4), ("c", 6)])
    assert cache.round([("a", 3), ("b", 4), ("c", 8)]) == [1, 2, 4]
    assert cache.round([("a", 10), ("b", int("4")), ("c", 9)]) == [5, 2, 4]
    assert cache.computed == 7
    assert list(cache.failures) == ["c"]


entries = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 9)), unique_by=itemgetter(0))


@given(rounds=st.lists(entries, max_size=6))
def test_a_round_has_the_last_good_value_of_each_of_its_keys(rounds: list[list[Item]]) -> None:
    cache: IncrementalCache[str, Item, int] = IncrementalCache(half, key=itemgetter(0))
    known: dict[str, int | None] = {}
    for items in rounds:
        known = {key: number // 2 if number % 2 == 0 else known.get(key) for key, number in items}
        assert cache.round(items) == [value for value in known.values() if value is not None]
        assert cache.failures.keys() == {key for key, number in items if number % 2}
