import json
import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from resources import packed

from kuma_sd import SourceError
from kuma_sd.core.value_limits import MOST_VALUES
from kuma_sd.mads.codecs import ResourceCodec
from kuma_sd.mads.codecs.v1 import TYPE_URL, V1_PROTOBUF
from kuma_sd.mads.codecs.v1_json import V1_JSON
from kuma_sd.mads.decoder import LARGEST_RESOURCE, Decoder, MadsResponse
from kuma_sd.proto.mads_v1_pb2 import MonitoringAssignment


def resource(*names: str, mesh: str = "default", service: str = "backend", address: str = "192.0.2.1:5670") -> bytes:
    message = MonitoringAssignment(mesh=mesh, service=service)
    for name in names:
        message.targets.add(name=name, address=address, scheme="http", labels={"env": "prod"})
    return packed(message)


FOREIGN = packed(MonitoringAssignment(mesh="default"), "type.googleapis.com/other")


def response(*resources: bytes) -> MadsResponse:
    return MadsResponse(V1_PROTOBUF, resources)


def test_assignments_are_sorted_whatever_the_order_on_the_wire() -> None:
    resources = [resource(f"backend-{number}", mesh=mesh) for number in range(9) for mesh in ("b", "a")]
    expected, _ = Decoder("").decode(response(*resources))
    random.Random(1).shuffle(resources)
    assert Decoder("").decode(response(*resources)) == (expected, frozenset())
    assert [item.key for item in expected] == sorted(item.key for item in expected)


def test_one_change_among_a_thousand_shuffled_decodes_one() -> None:
    decoder, shuffle = Decoder(""), random.Random(1).shuffle
    resources = [resource(f"backend-{number}") for number in range(1000)]
    decoder.decode(response(*resources))
    assert decoder.decoded == 1000
    resources[500] = resource("backend-500", address="192.0.2.2:5670")
    shuffle(resources)
    assignments, _ = decoder.decode(response(*(bytes(bytearray(each)) for each in resources)))
    assert decoder.decoded == 1001
    changed = next(assignment for assignment in assignments if assignment.key.name == "backend-500")
    assert changed.read().address == "192.0.2.2:5670"


class Counted:
    """Resources that count how often all of them are made."""

    def __init__(self, resources: Sequence[bytes]) -> None:
        self._resources = resources
        self.made = 0

    def __iter__(self) -> Iterator[bytes]:
        self.made += 1
        return (bytes(bytearray(each)) for each in self._resources)


@pytest.mark.parametrize(("count", "made"), [(0, 1), (1, 1), (20, 1), (999, 2), (1000, 1)])
def test_few_changes_and_changes_of_all_cost_one_look_at_each_resource_and_no_search_for_those_that_are_gone(
    count: int, made: int
) -> None:
    decoder = Decoder("")
    resources = [resource(f"backend-{number}") for number in range(1000)]
    decoder.decode(response(*resources))
    resources[:count] = [resource(f"backend-{number}", address="192.0.2.2:5670") for number in range(count)]
    counted = Counted(resources)
    decoder.decode(MadsResponse(V1_PROTOBUF, counted))
    assert counted.made == made


RESOURCES = [
    *(resource(name, address=f"192.0.2.{version}:1") for name in "abc" for version in range(3)),
    resource("a", "b"),
    resource("b", "d", service="frontend"),
    FOREIGN,
    b"\xff",
    b"",
]


@given(st.lists(st.lists(st.sampled_from(RESOURCES), max_size=8), min_size=1, max_size=6))
def test_whatever_came_before_a_response_means_the_same(sequence: list[list[bytes]]) -> None:
    decoder, good = Decoder(""), resource("z")
    for resources in sequence:
        last = decoder.decode(response(good, *resources))
        assert last == Decoder("").decode(response(good, *resources))


def test_what_went_is_gone_and_what_came_is_there() -> None:
    decoder = Decoder("")
    decoder.decode(response(resource("a"), resource("b")))
    assignments, _ = decoder.decode(response(resource("c"), resource("b")))
    assert [assignment.key.name for assignment in assignments] == ["b", "c"]


def test_a_resource_with_several_targets_is_split_and_remembered() -> None:
    decoder = Decoder("east")
    resources = [resource("a", "b"), resource("c")]
    for _ in range(3):
        assignments, unreadable = decoder.decode(response(*resources))
        assert [
            (assignment.key.name, assignment.read().name, assignment.read().control_plane) for assignment in assignments
        ] == [("a", "a", "east"), ("b", "b", "east"), ("c", "c", "east")]
        assert not unreadable
    assert decoder.decoded == 2


def test_equal_names_are_told_apart_by_the_order_of_their_bytes() -> None:
    one, two = sorted([resource("a", service="x"), resource("a", service="y")])
    forward, _ = Decoder("").decode(response(one, two))
    backward, _ = Decoder("").decode(response(two, one))
    assert forward == backward
    assert [(each.key.ordinal, each.data) for each in forward] == [(0, one), (1, two)]


def test_when_one_of_equal_names_goes_the_other_takes_its_place() -> None:
    one, two = sorted([resource("a", service="x"), resource("a", service="y")])
    decoder = Decoder("")
    decoder.decode(response(one, two))
    alone, _ = decoder.decode(response(two))
    assert alone == Decoder("").decode(response(two))[0]
    assert [each.key.ordinal for each in alone] == [0]
    again, _ = decoder.decode(response(one, two))
    assert [(each.key.ordinal, each.data) for each in again] == [(0, one), (1, two)]


def test_a_resource_sent_twice_is_one_assignment() -> None:
    assignments, _ = Decoder("").decode(response(resource("a"), resource("a")))
    assert len(assignments) == 1


def test_what_does_not_parse_makes_the_snapshot_incomplete_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    decoder = Decoder("")
    for _ in range(3):
        assignments, unreadable = decoder.decode(response(resource("a"), b"\xff\xff"))
        assert [assignment.key.name for assignment in assignments] == ["a"]
        assert len(unreadable) == 1
    assert decoder.decoded == 2
    assert len(caplog.records) == 1
    assert "assignments cannot be decoded, their last good targets stay" in caplog.text
    assert "assignments=1" in caplog.text
    assert not decoder.decode(response(resource("a")))[1]


def test_an_unknown_type_makes_the_snapshot_incomplete(caplog: pytest.LogCaptureFixture) -> None:
    assignments, unreadable = Decoder("").decode(response(resource("a"), FOREIGN))
    assert len(assignments) == 1
    assert len(unreadable) == 1
    assert "its type is unknown" in caplog.text


@pytest.mark.parametrize("bad", [response(b"\xff\xff"), response(FOREIGN)])
def test_a_response_of_which_nothing_parses_is_an_error_not_a_snapshot(bad: MadsResponse) -> None:
    with pytest.raises(SourceError, match="no resource of the response can be decoded"):
        Decoder("").decode(bad)


def test_after_an_error_the_next_good_response_is_whole() -> None:
    decoder = Decoder("")
    decoder.decode(response(resource("a"), resource("b")))
    with pytest.raises(SourceError):
        decoder.decode(response(b"\xff\xff"))
    assignments, unreadable = decoder.decode(response(resource("a"), resource("b")))
    assert len(assignments) == 2
    assert not unreadable


def test_an_empty_response_is_an_empty_snapshot() -> None:
    decoder = Decoder("")
    decoder.decode(response(resource("a")))
    assert decoder.decode(response()) == ([], frozenset())


def test_equal_content_returns_the_same_list() -> None:
    decoder = Decoder("")
    first, _ = decoder.decode(response(resource("a"), resource("b")))
    second, _ = decoder.decode(response(resource("b"), resource("a")))
    assert second is first


def shared(count: int, size: int) -> bytes:
    """Return an assignment of several targets, all of which have its one long label."""
    message = MonitoringAssignment(mesh="default", service="backend", labels={"note": "x" * size})
    for number in range(count):
        message.targets.add(name=f"shared-{number}", address="192.0.2.1:5670")
    return packed(message)


def test_an_assignment_whose_targets_are_far_larger_than_itself_is_not_read_and_the_others_are() -> None:
    decoder = Decoder("", most=2**20)
    bomb = shared(20_000, 60_000)
    assignments, unread = decoder.decode(response(resource("a"), bomb))
    assert [assignment.key.name for assignment in assignments] == ["a"]
    assert len(unread) == 1
    assert "larger than max-message-size" in decoder._failures[bomb]


def test_what_targets_take_is_bounded_for_all_assignments_together_and_given_back_when_they_go() -> None:
    decoder = Decoder("", most=2**20)
    first, second, third = (shared(10, 60_000 + number) for number in range(3))
    assert len(decoder.decode(response(first))[0]) == 10
    assert len(decoder.decode(response(first, second))[0]) == 10, "there is no room for the second"
    assert len(decoder.decode(response(third))[0]) == 10, "the first went"


TOO_MUCH = {
    "a name": (resource("x" * LARGEST_RESOURCE), "it is larger than 16 MiB"),
    "targets": (resource(*[""] * MOST_VALUES), "it has more than 262,144 values"),
    "fields": (b"\x12\x00" * (MOST_VALUES + 1), "it has more than 262,144 values"),
}


@pytest.mark.parametrize(("too_much", "why"), TOO_MUCH.values(), ids=TOO_MUCH)
def test_a_resource_with_too_much_in_it_is_unreadable_and_the_others_are_taken(
    too_much: bytes, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    assignments, unreadable = Decoder("").decode(response(too_much, resource("a")))
    assert [assignment.key.name for assignment in assignments] == ["a"]
    assert len(unreadable) == 1
    assert why in caplog.text


@pytest.mark.parametrize("codec", [V1_PROTOBUF, V1_JSON], ids=lambda codec: codec.name)
def test_a_resource_with_commas_in_its_labels_is_taken_over_both_transports(codec: ResourceCodec) -> None:
    # Kuma writes the values of a tag that has several as ",a,b,".
    labels = {f"{tag}{plural}": f",{tag},b," if plural else tag for tag in "abcdefghijkl" for plural in ("", "s")}
    targets = [{"name": f"a-{number}", "address": "192.0.2.1:5670", "labels": labels} for number in range(8000)]
    assignment: dict[str, Any] = {"mesh": "default", "service": "backend", "targets": targets}
    in_json = json.dumps({"@type": TYPE_URL, **assignment}).encode()
    assert in_json.count(b",") > MOST_VALUES
    resource = in_json if codec is V1_JSON else packed(MonitoringAssignment(**assignment))
    assignments, unreadable = Decoder("").decode(MadsResponse(codec, [resource]))
    assert not unreadable
    assert [assignments[0].read().labels, len(assignments)] == [labels, 8000]
