"""What is published under a name that no control plane has is found for the target that lacks it."""

from kuma_sd.core.model import Key
from kuma_sd.pipeline.former_names import present_keys


def key(control_plane: str, ordinal: int = 0) -> Key:
    return Key(control_plane, "default", "web", ordinal)


def test_it_belongs_to_the_only_target_for_which_nothing_is_published() -> None:
    assert present_keys([key("old")], {"new"}, [key("new")]) == {key("old"): key("new")}
    assert present_keys([key("old"), key("west")], {"new", "west"}, [key("new"), key("west")]) == {
        key("old"): key("new")
    }


def test_namesakes_are_found_in_their_order_if_there_are_as_many() -> None:
    published, targets = [key("old"), key("old", 1)], [key("new", 1), key("new", 2)]
    assert present_keys(published, {"new"}, targets) == dict(zip(published, targets, strict=True))
    assert present_keys(published, {"new"}, [key("new", 2)]) == {}


def test_nothing_is_guessed_if_several_control_planes_lack_it() -> None:
    assert present_keys([key("old")], {"new", "west"}, [key("new"), key("west")]) == {}


def test_what_is_published_of_a_control_plane_that_was_removed_is_given_to_no_other() -> None:
    assert present_keys([key("removed")], {"removed", "new"}, [key("new")]) == {}
