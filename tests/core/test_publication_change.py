from kuma_sd import Publication, TargetGroup
from kuma_sd.testing import group, publication


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
