"""Which target is in which file, by what changed alone."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuma_sd import Labels, Publication, Shard, TargetGroup, hashmod
from kuma_sd.testing import group, publication
from kuma_sd_bundled.file_sd import FileSDOptions
from kuma_sd_bundled.file_sd.division_among_files import Division
from kuma_sd_bundled.file_sd.layout import Layout
from kuma_sd_bundled.file_sd.parts import Place, part_hash

MANY = [group(f"b-{number:05}", address=f"192.0.2.1:{number + 1}") for number in range(10_000)]


class CountingRule:
    """Counts how many groups are asked about."""

    def __init__(self, layout: Layout, *counts: int) -> None:
        self._rule = layout.rule(counts or {layout.parts})
        self.asked = 0

    def __call__(self, one: TargetGroup) -> Any:
        self.asked += 1
        return self._rule(one)


def layout_of(path: str, **options: Any) -> Layout:
    return Layout.of(FileSDOptions(path=Path(path), **options))


def divided(layout: Layout, whole: Publication, *counts: int) -> dict[Place, list[bytes]]:
    division = Division(layout.rule(counts or {layout.parts}))
    division.update(whole)
    return {place: list(division.lines(place)) for place in layout.places(max(counts, default=layout.parts))}


LABELS = st.dictionaries(st.sampled_from(["mesh", "zone", "env"]), st.text(max_size=3), max_size=3)


@given(
    label_sets=st.lists(LABELS, max_size=40),
    shards=st.integers(1, 6),
    parts=st.integers(1, 6),
    by=st.sampled_from(["__address__", "mesh", "none_has_it"]),
)
def test_all_files_together_are_the_whole_in_order_and_no_target_is_in_two(
    label_sets: list[Labels], shards: int, parts: int, by: str
) -> None:
    groups = [group(f"b-{number}", address=f"[::1]:{number}", labels=one) for number, one in enumerate(label_sets)]
    whole = publication(*groups)
    files = divided(layout_of("{shard}/{part}/k.json", shards=shards, parts=parts, shard_by=by), whole)
    assert len(files) == shards * parts
    assert Counter(line for lines in files.values() for line in lines) == Counter(whole.lines)
    places = {line: number for number, line in enumerate(whole.lines)}
    assert all(lines == sorted(lines, key=places.__getitem__) for lines in files.values())
    for shard in range(shards):
        mine = layout_of("{part}/k.json", shard=Shard(shard, shards), parts=parts, shard_by=by)
        assert divided(mine, whole) == {place: lines for place, lines in files.items() if place.shard == shard}


@given(
    before=st.dictionaries(st.integers(0, 30), st.integers(0, 3)),
    after=st.dictionaries(st.integers(0, 30), st.integers(0, 3)),
    counts=st.sets(st.integers(1, 8), min_size=1, max_size=3),
)
def test_what_changed_is_brought_up_to_date_as_if_all_were_divided_anew(
    before: dict[int, int], after: dict[int, int], counts: set[int]
) -> None:
    layout = layout_of("{part}/k.json", parts=8)
    kept: dict[tuple[int, int], TargetGroup] = {}

    def whole(versions: dict[int, int]) -> Publication:
        # An unchanged group is the same object in the next publication.
        return publication(
            *(
                kept.setdefault((name, version), group(f"b-{name:02}", labels={"name": str(name), "v": str(version)}))
                for name, version in versions.items()
            )
        )

    division = Division(layout.rule(counts))
    for versions in (before, after):
        division.update(whole(versions))
    division.settle()
    expected = divided(layout, whole(after), *counts)
    assert {place: list(division.lines(place)) for place in expected} == expected


def test_a_part_is_chosen_by_mesh_and_name_alone() -> None:
    same = [
        group("a", mesh="m", control_plane="east", address="192.0.2.1:1"),
        group("a", mesh="m", control_plane="west", address="192.0.2.2:2", labels={"version": "2"}),
    ]
    assert len(set(map(part_hash, same))) == 1
    # Written down, because another version of kuma-sd has to choose the same.
    assert [part_hash(group(name, mesh="default")) % 16 for name in ("web-1", "web-2", "web-3")] == [8, 1, 6]


def test_one_change_among_ten_thousand_asks_about_one_target_and_touches_one_part() -> None:
    layout = layout_of("{part}/k.json")
    rule = CountingRule(layout)
    division = Division(rule)
    division.update(publication(*MANY))
    before = {place: division.lines(place) for place in layout.places(16)}
    assert rule.asked == len(MANY)
    changed = group("b-05000", address="192.0.2.1:5001", labels={"version": "2"})
    division.update(publication(*MANY[:5000], changed, *MANY[5001:]))
    division.settle()
    # As it was and as it is.
    assert rule.asked == len(MANY) + 2
    assert [place for place, lines in before.items() if division.lines(place) is not lines] == [
        Place(0, part_hash(changed) % 16)
    ]


def test_a_target_that_moves_to_another_shard_stays_in_its_old_one_until_all_is_settled() -> None:
    layout = layout_of("kuma-{shard}.json", shards=2, shard_by="zone")
    division = Division(layout.rule({1}))
    zones = [next(zone for zone in "abcdefgh" if hashmod(zone, 2) == shard) for shard in range(2)]
    there, here = (group("a", labels={"zone": zone}) for zone in zones)

    def lines() -> list[list[bytes]]:
        return [list(division.lines(Place(shard, 0))) for shard in range(2)]

    division.update(publication(there))
    assert lines() == [[there.json], []]
    division.update(publication(here))
    assert lines() == [[here.json], [here.json]]
    division.settle()
    assert lines() == [[], [here.json]]


def test_targets_that_were_converted_anew_without_a_difference_go_when_they_are_gone() -> None:
    layout = layout_of("{part}/k.json", parts=4)
    division = Division(layout.rule({4}))

    def rendered(*names: str, **labels: str) -> Publication:
        return publication(*(group(name, labels=labels if name == "a" else {}) for name in names))

    for whole in (rendered(*"abcdef"), rendered(*"abcdef", env="test"), rendered(*"abcdefg"), rendered(*"ac")):
        division.update(whole)
        lines = [line for place in layout.places(4) for line in division.lines(place)]
        assert sorted(lines) == sorted(whole.lines)


@pytest.mark.parametrize("parts", [16, 24, 64])
def test_parts_are_about_equally_large(parts: int) -> None:
    sizes = Counter(part_hash(one) % parts for one in MANY)
    assert sorted(sizes) == list(range(parts))
    assert max(sizes.values()) < 1.6 * len(MANY) / parts
