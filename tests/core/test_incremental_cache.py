from operator import itemgetter

import pytest

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
