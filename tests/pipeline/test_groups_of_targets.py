"""What is published for several targets of equal names, or in several groups for one, is found for its target."""

from kuma_sd.core.model import Key
from kuma_sd.pipeline.groups_of_targets import shared_groups


def key(ordinal: int = 0, name: str = "web") -> Key:
    return Key("", "default", name, ordinal)


def test_all_groups_of_a_name_belong_to_its_only_target() -> None:
    assert shared_groups([key(0), key(1)], [key(0), key(0, "api")]) == {key(0): [key(0), key(1)]}


def test_namesakes_have_one_group_each_if_there_are_as_many() -> None:
    assert shared_groups([key(0), key(1)], [key(0), key(2)]) == {key(0): [key(0)], key(2): [key(1)]}


def test_namesakes_share_their_groups_if_it_is_not_known_whose_they_are() -> None:
    groups = [key(0), key(1), key(2), key(3)]
    assert shared_groups(groups, [key(0), key(1)]) == {key(0): groups, key(1): groups}


def test_a_single_group_needs_no_decision() -> None:
    assert shared_groups([key(0), key(0, "api")], [key(0), key(1)]) == {}


def test_a_single_group_belongs_to_the_only_namesake_that_is_left_whatever_its_ordinal() -> None:
    """A file does not say that the group was that of the second of two."""
    assert shared_groups([key(0)], [key(1)]) == {key(1): [key(0)]}
