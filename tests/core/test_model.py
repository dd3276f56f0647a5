import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kuma_sd import GroupKey, Key, Publication, TargetGroup, TransformError
from kuma_sd.core.target_group import LONGEST_LABEL_NAME
from kuma_sd.testing import assignment, group, publication

KEY = GroupKey(Key("", "default", "backend-01", 0), 0)

KEY_OF = {name: GroupKey(Key("", "default", name, 0), 0) for name in "abcdef"}

# What JSON writes and a strict YAML reader takes.
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def test_a_group_is_one_line_of_json_with_sorted_labels() -> None:
    rendered = TargetGroup.render(KEY, {"mesh": "default", "__address__": "192.0.2.1:5670", "env": "prod"})
    assert rendered.json == b'{"targets":["192.0.2.1:5670"],"labels":{"env":"prod","mesh":"default"}}'
    assert rendered.targets == ["192.0.2.1:5670"]
    assert rendered.labels == {"env": "prod", "mesh": "default"}


def test_an_empty_value_is_an_absent_label() -> None:
    rendered = TargetGroup.render(KEY, {"__address__": "192.0.2.1:5670", "env": ""})
    assert rendered.labels == {}


@given(st.dictionaries(text.filter(lambda name: name != "__address__"), text.filter(bool)), text)
def test_a_line_reads_the_same_as_json_and_as_yaml(labels: dict[str, str], address: str) -> None:
    rendered = TargetGroup.render(KEY, labels | {"__address__": address})
    expected = {"targets": [address], "labels": labels}
    assert b"\n" not in rendered.json
    assert json.loads(rendered.json) == expected
    assert yaml.safe_load(b"- " + rendered.json + b"\n") == [expected]


@pytest.mark.parametrize("character", ["\x7f", "\x85", "\x9f", "\u2028", "\u2029", "\ufffe", "\uffff"])
def test_what_strict_yaml_refuses_is_escaped(character: str) -> None:
    rendered = TargetGroup.render(KEY, {"__address__": "a", "env": f"<{character}>"})
    assert f'"<\\u{ord(character):04x}>"'.encode() in rendered.json


@pytest.mark.parametrize("labels", [{"env": "\ud800"}, {"env": 7}, {"x" * (LONGEST_LABEL_NAME + 1): "prod"}])
def test_what_would_cost_the_whole_file_is_an_error(labels: dict[str, str]) -> None:
    with pytest.raises(TransformError):
        TargetGroup.render(KEY, {"__address__": "a"} | labels)


def test_equal_lines_are_published_once_under_the_smallest_key() -> None:
    first, second, other = group("backend-01"), group("backend-02"), group("web-01", labels={})
    twin = TargetGroup(second.key, first.json)
    published = Publication.of([first, twin, other], received=1.0)
    assert published.groups == (first, other)
    assert published.duplicates == 1


groups = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 3)).map(
    lambda numbers: [TargetGroup(KEY_OF[name], b"%d" % numbers[name]) for name in sorted(numbers)]
)


@given(before=groups, after=groups, kept=st.integers(0, 5))
def test_beside_an_earlier_publication_equal_lines_are_published_once_too(
    before: list[TargetGroup], after: list[TargetGroup], kept: int
) -> None:
    earlier = Publication.of(before, received=1.0)
    # Some are the same objects, as those of unchanged assignments are.
    same = {shared.key: shared for shared in before[:kept]}
    every = sorted({**{each.key: each for each in after}, **same}.values())
    assert Publication.of(every, 2.0, earlier) == Publication.of(every, 2.0)


def test_no_key_is_hashed_where_every_group_changed() -> None:
    class Unhashable(str):
        __slots__ = ()
        __hash__ = None  # type: ignore[assignment]

    keys = [Unhashable(name) for name in "abc"]
    before, after = (
        Publication(tuple(TargetGroup(key, line) for key in keys), 1.0)  # type: ignore[arg-type]
        for line in (b"before", b"after")
    )
    assert after.since(before).changed == after.groups


def test_since_tells_what_was_added_removed_and_changed() -> None:
    before = publication("a", "b", "c")
    now = publication("a", group("b", labels={"env": "test"}), "d")
    change = now.since(before)
    assert [changed_group.key.assignment.name for changed_group in change.added] == ["d"]
    assert [changed_group.key.assignment.name for changed_group in change.removed] == ["c"]
    assert change.changed == (group("b", labels={"env": "test"}),)
    assert str(change) == "1 added, 1 removed, 1 changed"


def test_since_holds_over_publications_that_nobody_took() -> None:
    first, second, third = publication("a", "b"), publication("b"), publication("b", "c")
    del second
    change = third.since(first)
    assert [changed_group.key.assignment.name for changed_group in change.added] == ["c"]
    assert [changed_group.key.assignment.name for changed_group in change.removed] == ["a"]


def test_since_nothing_all_is_added_and_since_an_equal_one_nothing_is() -> None:
    assert len(publication("a", "b").since(None).added) == 2
    assert not publication("a", "b").since(publication("a", "b"))


def test_assignments_with_equal_bytes_are_equal() -> None:
    assert assignment("a") == assignment("a")
    assert assignment("a") != assignment("a", service="other")
    assert assignment("a").key == assignment("a", service="other").key
