"""Differences: whatever the two lists are, they lead from one to the other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuma_sd import GroupKey, Key, Labels, TargetGroup
from kuma_sd.telemetry.diff_without_keys import NO_KEY, DiffCounts, Difference, compare

WORDS = st.sampled_from(["", "a", "b", "c"])
LABELS = st.fixed_dictionaries(
    {"__address__": st.sampled_from(["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"])},
    optional={"mesh": WORDS, "dataplane": WORDS, "instance": WORDS, "service": WORDS, "env": WORDS},
)
KEYS = st.builds(GroupKey, st.builds(Key, st.just(""), WORDS, WORDS, st.integers(0, 2)), st.integers(0, 1))


def group(labels: Labels, key: GroupKey = NO_KEY) -> TargetGroup:
    return TargetGroup.render(key, labels)


GROUPS = st.lists(st.builds(group, LABELS, st.just(NO_KEY) | KEYS), unique_by=lambda one: one.json, max_size=12)


def web(address: str, name: str = "web-1", key: str = "", **labels: str) -> TargetGroup:
    whole = {"__address__": address, "dataplane": name, "mesh": "default", "service": "web", **labels}
    return group(whole, GroupKey(Key("", "default", key, 0), 0) if key else NO_KEY)


def parts(difference: Difference) -> tuple[list[bytes], list[bytes]]:
    """Return the lines that go, and those that come."""
    pairs = [*difference.added, *difference.removed, *difference.changed]
    goes = [pair.before.group.json for pair in pairs if pair.before]
    return goes, [pair.after.group.json for pair in pairs if pair.after]


@given(GROUPS, GROUPS)
def test_the_difference_applied_to_the_old_list_gives_the_new_one(
    before: list[TargetGroup], after: list[TargetGroup]
) -> None:
    old, new = {item.json for item in before}, {item.json for item in after}
    goes, comes = parts(compare(before, after))
    assert (old - set(goes)) | set(comes) == new
    assert sorted(goes) == sorted(old - new), "nothing goes twice, and nothing that stays"
    assert sorted(comes) == sorted(new - old), "nothing comes twice, and nothing that was there"


@given(GROUPS, GROUPS)
def test_what_comes_and_goes_at_one_address_is_a_change(before: list[TargetGroup], after: list[TargetGroup]) -> None:
    difference = compare(before, after)
    added = {pair.target.address for pair in difference.added}
    assert added.isdisjoint(pair.target.address for pair in difference.removed)
    for pair in difference.changed:
        assert list(pair.labels), "a change says what changed"


@given(GROUPS, GROUPS)
def test_the_counts_of_the_services_add_up(before: list[TargetGroup], after: list[TargetGroup]) -> None:
    difference = compare(before, after)
    services = list(difference.services.values())
    assert DiffCounts(*map(sum, zip(*services, strict=True))) == difference.counts
    assert [service.total for service in services] == sorted((service.total for service in services), reverse=True)


@given(GROUPS, st.randoms())
def test_the_order_does_not_matter(groups: list[TargetGroup], random: object) -> None:
    shuffled = groups.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined] # (hypothesis's own random.Random)
    assert compare(groups, shuffled).counts.total == 0


def test_keys_say_first_what_belongs_together() -> None:
    before = [web("10.0.0.1:1", "web-1", key="k1"), web("10.0.0.2:1", "web-2", key="k2")]
    after = [web("10.0.0.2:1", "web-1", key="k1"), web("10.0.0.1:1", "web-2", key="k2")]
    difference = compare(before, after)
    assert [list(pair.labels) for pair in difference.changed] == [
        [("__address__", "10.0.0.1:1", "10.0.0.2:1")],
        [("__address__", "10.0.0.2:1", "10.0.0.1:1")],
    ]


def test_without_keys_the_address_says_it() -> None:
    difference = compare([web("10.0.0.1:1", env="a")], [web("10.0.0.1:1", "web-2", env="b")])
    [pair] = difference.changed
    assert list(pair.labels) == [("dataplane", "web-1", "web-2"), ("env", "a", "b")]


def test_of_several_at_one_address_the_one_of_that_name_is_meant() -> None:
    before = [web("proxy:1", "web-1", env="a"), web("proxy:1", "web-2", env="a")]
    after = [web("proxy:1", "web-2", env="b")]
    difference = compare(before, after)
    assert [pair.target.name for pair in difference.changed] == ["web-2"]
    assert [pair.target.name for pair in difference.removed] == ["web-1"]


def test_a_dataplane_that_moved_to_another_address_changed() -> None:
    difference = compare([web("10.0.0.1:1")], [web("10.0.0.2:1")])
    assert difference.counts == DiffCounts(changed=1)


def test_labels_that_come_and_go_are_none_on_the_other_side() -> None:
    [pair] = compare([web("10.0.0.1:1", old="x")], [web("10.0.0.1:1", new="y")]).changed
    assert list(pair.labels) == [("new", None, "y"), ("old", "x", None)]


def test_a_line_that_only_has_another_key_is_no_difference() -> None:
    assert compare([web("10.0.0.1:1", key="k1")], [web("10.0.0.1:1", key="k2")]).counts.total == 0


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ({"mesh": "m", "service": "s", "dataplane": "d", "instance": "i", "job": "j"}, ("m", "s", "d")),
        ({"__meta_kuma_mesh": "m", "__meta_kuma_service": "s", "__meta_kuma_dataplane": "d"}, ("m", "s", "d")),
        ({"job": "j", "instance": "i"}, ("default", "j", "i")),
        ({}, ("default", "", "k")),
    ],
)
def test_mesh_service_and_name_are_told_by_labels_of_any_profile_and_else_by_the_key(
    labels: Labels, told: tuple[str, str, str]
) -> None:
    key = GroupKey(Key("", "default", "k", 0), 0)
    [pair] = compare([], [group({"__address__": "x", **labels}, key)]).added
    assert (pair.target.mesh, pair.target.service, pair.target.name) == told
