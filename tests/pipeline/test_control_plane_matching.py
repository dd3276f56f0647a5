import pytest

from kuma_sd.pipeline.control_plane_matching import Identity, endpoints_of, match


def identity(name: str, *endpoints: str) -> Identity:
    return Identity(name, frozenset(endpoints))


def matched(old: list[Identity], new: list[Identity]) -> dict[str, str]:
    """Return the names of the old ones by the names of the new ones."""
    return match({entry.name: entry for entry in old}, {entry.name: entry for entry in new})


@pytest.mark.parametrize(
    ("address", "endpoints"),
    [
        ("grpc://kuma.internal", {"kuma.internal:5676"}),
        ("http://user:secret@Kuma.internal:5676/", {"kuma.internal:5676"}),
        ("grpc://b:1,a:2", {"a:2", "b:1"}),
        ("https://gateway/kuma/east", {"gateway:443/kuma/east"}),
        ("http://[::1]:5676", {"[::1]:5676"}),
        ("http://[::1]", {"[::1]:80"}),
        ("file:/var/lib/saved.snapshot", {"/var/lib/saved.snapshot"}),
        ("redis://:secret@redis:6379/0", {"redis:6379/0"}),
    ],
)
def test_where_an_address_leads(address: str, endpoints: set[str]) -> None:
    assert endpoints_of(address) == endpoints


def test_the_same_name_and_endpoints_come_first() -> None:
    old = [identity("east", "a", "b"), identity("west", "b")]
    assert matched(old, [identity("east", "a", "b")]) == {"east": "east"}


def test_a_renamed_control_plane_is_known_by_its_endpoints() -> None:
    assert matched([identity("", "a")], [identity("east", "a"), identity("west", "b")]) == {"east": ""}


def test_two_that_swap_their_names_are_known_by_their_endpoints() -> None:
    old = [identity("east", "a"), identity("west", "b")]
    assert matched(old, [identity("east", "b"), identity("west", "a")]) == {"east": "west", "west": "east"}


def test_endpoints_that_two_have_prove_nothing_and_then_the_name_counts() -> None:
    old = [identity("east", "a"), identity("west", "a")]
    assert matched(old, [identity("west", "a", "c")]) == {"west": "west"}


def test_another_address_under_the_same_name_is_the_same_control_plane() -> None:
    assert matched([identity("east", "a")], [identity("east", "b")]) == {"east": "east"}


def test_one_whose_endpoints_nobody_knows_is_the_one_that_is_left() -> None:
    old = [identity("east", "a"), identity("unknown")]
    assert matched(old, [identity("east", "a"), identity("west", "b")]) == {"east": "east", "west": "unknown"}
    assert matched(old, [identity("west", "b"), identity("north", "c")]) == {}


def test_what_has_nothing_in_common_is_not_matched() -> None:
    assert matched([identity("east", "a")], [identity("west", "b")]) == {}
