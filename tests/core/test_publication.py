from hypothesis import given
from hypothesis import strategies as st

from kuma_sd import GroupKey, Key, Publication, TargetGroup
from kuma_sd.testing import group

KEY_OF = {name: GroupKey(Key("", "default", name, 0), 0) for name in "abcdef"}


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


LINES = st.lists(st.tuples(st.integers(0, 12), st.sampled_from("abc")), max_size=12, unique_by=lambda pair: pair[0])


def groups_of(lines: list[tuple[int, str]], made: dict[tuple[int, str], TargetGroup]) -> list[TargetGroup]:
    return [
        made.setdefault((number, line), TargetGroup(GroupKey(Key("", "m", f"{number:02}", 0), 0), line.encode()))
        for number, line in sorted(lines)
    ]


@given(st.lists(LINES, min_size=1, max_size=4))
def test_after_any_earlier_publication_the_same_groups_give_the_same(rounds: list[list[tuple[int, str]]]) -> None:
    made: dict[tuple[int, str], TargetGroup] = {}
    earlier = None
    for lines in rounds:
        groups = groups_of(lines, made)
        published, alone = Publication.of(groups, 1.0, earlier), Publication.of(groups, 1.0)
        assert published == alone
        assert published.lines == alone.lines == tuple(group.json for group in published.groups)
        earlier = published
