from collections import Counter

import pytest

from kuma_sd.shard import METHODS, _jump, consistent, hashmod

ADDRESSES = [f"10.0.{number // 250}.{number % 250}:5670" for number in range(10_000)]


def test_hashmod_is_that_of_prometheus() -> None:
    # From Prometheus's own tests of its relabelling.
    assert (hashmod("baz", 1000), hashmod("foo\nbar", 1000)) == (976, 734)


@pytest.mark.parametrize(
    ("key", "shards", "shard"),
    [(1, 1, 0), (42, 57, 43), (0xDEAD10CC, 1, 0), (0xDEAD10CC, 666, 361), (256, 1024, 520), (10863919174838991, 11, 6)],
)
def test_the_consistent_hash_is_the_jump_hash_of_others(key: int, shards: int, shard: int) -> None:
    assert _jump(key, shards) == shard


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
