from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuma_sd import ConfigError, Labels, Publication
from kuma_sd.prometheus.sharding import (
    MOST_SHARDS,
    SHARD,
    SHARDING_METHODS,
    SHARDS,
    Sharding,
    _jump,
    consistent,
    hashmod,
)
from kuma_sd.testing import group, publication

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


LABELS = st.dictionaries(st.sampled_from(["mesh", "zone", "env"]), st.text(max_size=3), max_size=3)


@given(
    label_sets=st.lists(LABELS, max_size=40),
    count=st.integers(1, 12),
    by=st.sampled_from(["__address__", "mesh", "zone", "none_has_it"]),
    method=st.sampled_from(sorted(SHARDING_METHODS)),
)
def test_all_shards_together_are_the_whole_in_order_and_no_target_is_in_two(
    label_sets: list[Labels], count: int, by: str, method: str
) -> None:
    whole = publication(
        *(group(f"b-{number}", address=f"[::1]:{number}", labels=item) for number, item in enumerate(label_sets))
    )
    shards = Sharding(count, by, method).split(whole)
    assert len(shards) == count
    assert Counter(line for shard in shards for line in shard) == Counter(whole.lines)
    place = {line: number for number, line in enumerate(whole.lines)}
    assert all(shard == sorted(shard, key=place.__getitem__) for shard in shards)
    assert [Sharding(count, by, method).pick(whole, number) for number in range(count)] == shards


@pytest.mark.parametrize("method", SHARDING_METHODS)
def test_the_value_of_the_label_decides_and_an_absent_one_is_empty(method: str) -> None:
    one, other = group("a", address="192.0.2.1:1", labels={"env": "prod"}), group("b", address="192.0.2.2:1", labels={})
    whole = publication(one, other)
    assert one.json in Sharding(8, method=method).split(whole)[SHARDING_METHODS[method]("192.0.2.1:1", 8)]
    assert one.json in Sharding(8, "env", method).split(whole)[SHARDING_METHODS[method]("prod", 8)]
    assert other.json in Sharding(8, "env", method).split(whole)[SHARDING_METHODS[method]("", 8)]


def test_a_target_stays_in_its_shard_when_something_else_of_it_changes() -> None:
    sharding = Sharding(100)
    before = sharding.split(publication(group("a", labels={"version": "1"})))
    after = sharding.split(publication(group("a", labels={"version": "2"})))
    assert [len(shard) for shard in before] == [len(shard) for shard in after]
    assert before != after


def test_one_change_among_ten_thousand_is_computed_once_and_nothing_is_rendered_anew() -> None:
    groups = [group(f"b-{number:05}", address=address) for number, address in enumerate(ADDRESSES)]
    sharding = Sharding(8)
    before = sharding.split(Publication.of(groups, received=1.0))
    groups[5000] = group("b-05000", address=ADDRESSES[5000], labels={"version": "2"})
    after = sharding.split(Publication.of(groups, received=2.0))
    assert sharding.computed == 10_001
    assert [old == new for old, new in zip(before, after, strict=True)].count(False) == 1
    kept = {id(line) for shard in before for line in shard}
    assert len([line for shard in after for line in shard if id(line) not in kept]) == 1


def test_what_is_gone_is_forgotten() -> None:
    sharding = Sharding(2)
    sharding.split(publication("a", "b"))
    sharding.split(publication())
    sharding.split(publication("a", "b"))
    assert sharding.computed == 4


@pytest.mark.parametrize("count", [0, -1, MOST_SHARDS + 1])
def test_there_are_neither_no_shards_nor_too_many(count: int) -> None:
    with pytest.raises(ConfigError, match=rf"{count} is no number of shards; set one from 1 to 256"):
        Sharding(count)
    with pytest.raises(ValueError, match="is no number of shards from 1 to 256"):
        SHARDS.parse(str(count))


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
