from collections import Counter

import pytest

from kuma_sd import ConfigError
from kuma_sd.prometheus.sharding import MOST_SHARDS, SHARD, SHARDING_METHODS, Sharding, _jump, consistent, hashmod
from kuma_sd.testing import group

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


@pytest.mark.parametrize("method", SHARDING_METHODS)
@pytest.mark.parametrize("shards", [1, 2, 3, 8, 100])
def test_every_target_is_in_one_shard_and_shards_are_of_about_equal_size(method: str, shards: int) -> None:
    sizes = Counter(SHARDING_METHODS[method](address, shards) for address in ADDRESSES)
    assert sorted(sizes) == list(range(shards))
    assert max(sizes.values()) < 1.6 * len(ADDRESSES) / shards


@pytest.mark.parametrize("shards", [1, 2, 3, 7, 8, 31, 100])
def test_one_more_shard_moves_its_share_and_only_to_it(shards: int) -> None:
    moved = [a for a in ADDRESSES if consistent(a, shards) != consistent(a, shards + 1)]
    assert len(moved) <= 1.2 / (shards + 1) * len(ADDRESSES)
    assert {consistent(address, shards + 1) for address in moved} == {shards}


@pytest.mark.parametrize("method", SHARDING_METHODS)
def test_the_value_of_the_label_decides_and_an_absent_one_is_empty(method: str) -> None:
    shard_of = SHARDING_METHODS[method]
    there = group("a", address="192.0.2.1:1", labels={"env": "prod"})
    assert Sharding(8, method=method).shard_of(there) == shard_of("192.0.2.1:1", 8)
    assert Sharding(8, "env", method).shard_of(there) == shard_of("prod", 8)
    assert Sharding(8, "zone", method).shard_of(there) == shard_of("", 8)


def test_a_target_stays_in_its_shard_when_something_else_of_it_changes() -> None:
    versions = (group("a", labels={"version": str(version)}) for version in range(20))
    assert len(set(map(Sharding(100).shard_of, versions))) == 1


@pytest.mark.parametrize("count", [0, -1, MOST_SHARDS + 1])
def test_there_are_neither_no_shards_nor_too_many(count: int) -> None:
    with pytest.raises(ConfigError, match=rf"{count} is no number of shards; set one from 1 to 256"):
        Sharding(count)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ConfigError, match="there is no shard method 'md5'; set one of hashmod, consistent"):
        Sharding(2, method="md5")


@pytest.mark.parametrize("text", ["0/1", "2/8", "255/256"])
def test_one_shard_is_written_as_a_fraction_from_0(text: str) -> None:
    shard = SHARD.parse(text)
    assert f"{shard.number}/{shard.of}" == SHARD.show(shard) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("8/8", "the first of 8 is 0/8, the last 7/8"),
        ("0/0", "is no number of shards from 1 to 256"),
        ("0/257", "is no number of shards from 1 to 256"),
        ("2", "is no shard like 2/8"),
        ("-1/8", "is no shard like 2/8"),
        ("2/8/9", "is no shard like 2/8"),
        ("٢/٨", "is no shard like 2/8"),
        ("", "is no shard like 2/8"),
    ],
)
def test_what_is_no_shard_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        SHARD.parse(text)
