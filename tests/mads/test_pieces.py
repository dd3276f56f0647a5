"""A response that is split piece by piece has the resources that it has as a whole, wherever the pieces end."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recordings import FOLDERS
from resources import packed

from kuma_sd import SourceError
from kuma_sd.core.value_limits import MOST_VALUES, TooManyValuesError
from kuma_sd.mads import pieces
from kuma_sd.mads.codecs import ResourceCodec
from kuma_sd.mads.codecs.v1 import TYPE_URL, V1_PROTOBUF
from kuma_sd.mads.codecs.v1alpha1 import TYPE_URL as OLD_TYPE_URL
from kuma_sd.mads.codecs.v1alpha1 import V1ALPHA1_PROTOBUF
from kuma_sd.mads.envelope import Envelope
from kuma_sd.mads.errors import ForeignError, GarbledError
from kuma_sd.mads.grpc_response import parse as parse_grpc
from kuma_sd.mads.http_response import parse as parse_http
from kuma_sd.mads.pieces import Resources
from kuma_sd.proto.discovery_pb2 import ReceivedResponse
from kuma_sd.proto.mads_v1_pb2 import MonitoringAssignment
from kuma_sd.proto.mads_v1alpha1_pb2 import MonitoringAssignment as OldMonitoringAssignment

# What looks like the border between two resources, in a label of one.
LIKE_BORDERS = ["\x12\x05\x0a\x3e" + TYPE_URL, '},{"@type"', "},{", ']},"resources":[{', '"\\', "plain"]


def over_grpc(data: bytes, most: int = MOST_VALUES) -> tuple[Envelope, Resources]:
    return parse_grpc(data, V1_PROTOBUF, most)


def over_http(body: bytes, most: int = MOST_VALUES) -> tuple[Envelope, Resources]:
    return parse_http(bytearray(body), most)


def grpc_response(names: Sequence[str]) -> bytes:
    resources = [
        packed(MonitoringAssignment(mesh="default", targets=[{"name": name, "labels": {"a": name}}])) for name in names
    ]
    message = ReceivedResponse(version_info="v", nonce="n", type_url=TYPE_URL, resources=resources)
    return message.SerializeToString()


def http_message(names: Sequence[str]) -> dict[str, Any]:
    resources = [
        {"@type": TYPE_URL, "mesh": "default", "targets": [{"name": name}, {"name": name, "labels": {"a": name}}]}
        for name in names
    ]
    return {"version_info": "v", "resources": resources, "type_url": TYPE_URL}


def http_response(names: Sequence[str]) -> bytes:
    return json.dumps(http_message(names), separators=(",", ":")).encode()


def reversed_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: reversed_keys(value[key]) for key in reversed(value)}
    return [*map(reversed_keys, value)] if isinstance(value, list) else value


@pytest.fixture(params=[1, 50, 400], ids="pieces of {} bytes".format)
def _small_pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE", request.param)


names_of_resources = st.lists(st.sampled_from(LIKE_BORDERS) | st.text(max_size=5), max_size=8)


@pytest.mark.usefixtures("_small_pieces")
@given(names_of_resources)
def test_a_response_over_grpc_is_the_same_in_pieces(names: Sequence[str]) -> None:
    data = grpc_response(names)
    envelope, resources = over_grpc(data)
    assert list(resources) == list(ReceivedResponse.FromString(data).resources)
    assert len(resources) == len(names)
    assert envelope == (TYPE_URL, "v", "n")


@pytest.mark.usefixtures("_small_pieces")
def test_resources_of_several_types_are_all_there() -> None:
    old = packed(OldMonitoringAssignment(name="a", targets=[{"labels": {"a": "b"}}]), OLD_TYPE_URL)
    new = list(ReceivedResponse.FromString(grpc_response("abc")).resources)
    mixed = [*[old] * 9, *new, old, *new, b"", b"\x12\x05other"] * 3
    data = ReceivedResponse(version_info="v", type_url=TYPE_URL, resources=mixed).SerializeToString()
    assert list(over_grpc(data)[1]) == mixed


WRITINGS: list[dict[str, Any]] = [{}, {"indent": 1}, {"separators": (",", ":")}, {"sort_keys": True}]


@pytest.mark.usefixtures("_small_pieces")
@given(names_of_resources, st.sampled_from(WRITINGS), st.sampled_from([dict, reversed_keys]))
def test_a_response_over_http_is_the_same_in_pieces(
    names: Sequence[str], writing: dict[str, Any], order: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    body = json.dumps(order(http_message(names)), **writing).encode()
    envelope, resources = over_http(body)
    assert [json.loads(resource) for resource in resources] == json.loads(body)["resources"]
    assert len(resources) == len(names)
    assert envelope == (TYPE_URL, "v", "")


@pytest.mark.usefixtures("_small_pieces")
@pytest.mark.parametrize(
    ("text", "resources"),
    [
        ('"resources": null', []),
        ('"resources": [ ]', []),
        ('"more": 1', []),
        ('"\\u0072esources": [{"a": [1]}, 2 , [[]] ]', [{"a": [1]}, 2, [[]]]),
        ('"resources": [ 1 ,"]}", {} ] , "more": [[],{"resources":[]}]', [1, "]}", {}]),
        ('"more": {"resources": [5]}, "resources": [6]', [6]),
        ('"more": "\\"resources\\": [5]", "resources": [6]', [6]),
        ('"more": ["resources"], "resources": [6, 7, 8]', [6, 7, 8]),
    ],
)
def test_the_list_is_found_wherever_it_is_and_whatever_is_in_it(text: str, resources: list[object]) -> None:
    body = f'{{"version_info":"v",{text},"type_url":"{TYPE_URL}"}}'
    assert [json.loads(resource) for resource in over_http(body.encode())[1]] == resources


RECORDED = [
    path
    for folder in FOLDERS
    for path in sorted(folder.glob("*-v1*-0[0-9].*"))
    if "native" not in path.name and "req" not in path.name
]


@pytest.mark.usefixtures("_small_pieces")
@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_recorded_responses_are_the_same_in_pieces(path: Path) -> None:
    data = path.read_bytes()
    if path.suffix == ".json" and data:
        _, resources = over_http(data)
        assert [json.loads(resource) for resource in resources] == json.loads(data).get("resources", [])
    elif path.suffix == ".binpb":
        codec: ResourceCodec = V1ALPHA1_PROTOBUF if "v1alpha1" in path.name else V1_PROTOBUF
        _, resources = parse_grpc(data, codec, MOST_VALUES)
        assert list(resources) == list(ReceivedResponse.FromString(data).resources)


BOTH = pytest.mark.parametrize(
    ("data", "parse"),
    [
        pytest.param(http_response("abcdef"), over_http, id="HTTP"),
        pytest.param(grpc_response("abcdef"), over_grpc, id="gRPC"),
    ],
)

Parse = Callable[..., tuple[Envelope, Resources]]


@pytest.mark.usefixtures("_small_pieces")
@pytest.mark.parametrize("end", [3, 300, -40, -2])
@BOTH
def test_a_response_that_is_cut_anywhere_is_refused(end: int, data: bytes, parse: Parse) -> None:
    with pytest.raises(GarbledError):
        parse(data[:end])


@pytest.mark.usefixtures("_small_pieces")
@pytest.mark.parametrize("more", [b"]", b",", b"}", b"\x00", b"\x12\x03a", b"\x33", b"\x0a\xff\xff\xff\xff\xff\xff"])
@BOTH
def test_a_response_with_something_behind_it_is_refused(more: bytes, data: bytes, parse: Parse) -> None:
    with pytest.raises(GarbledError):
        parse(data + more)


def test_what_is_wrong_with_json_is_said_of_the_whole_body() -> None:
    body = http_response("abc").replace(b'"name":"c"', b'"name""c"')
    place = body.index(b'""c"') + 1
    with pytest.raises(GarbledError, match=rf"JSON is malformed: expected ':' \(byte {place}\)\); its body is JSON"):
        over_http(body)
    with pytest.raises(GarbledError, match="its resources are no list"):
        over_http(b'{"resources": 5}')


def test_the_last_version_in_a_response_is_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE", 400)
    data = grpc_response("abc" * 9) + ReceivedResponse(version_info="other").SerializeToString()
    assert over_grpc(data)[0] == (TYPE_URL, "other", "n")


def test_a_response_of_another_kind_is_foreign() -> None:
    with pytest.raises(ForeignError, match="it has no version_info"):
        over_grpc(ReceivedResponse(type_url=TYPE_URL).SerializeToString())
    with pytest.raises(ForeignError, match="it has no type_url"):
        over_http(b'{"version_info":"1"}')


TINY = {
    "gRPC": (grpc_response("a") + b"\x12\x00" * 500_000, over_grpc),
    "HTTP": (http_response("a").replace(b"[", b"[" + b"{}," * 500_000, 1), over_http),
    "numbers over HTTP": (http_response("a").replace(b"[", b"[" + b"1," * 500_000, 1), over_http),
}


@pytest.mark.parametrize(("data", "parse"), TINY.values(), ids=TINY)
def test_too_many_resources_are_refused_with_what_to_do(data: bytes, parse: Parse) -> None:
    with pytest.raises(TooManyValuesError) as error:
        parse(data, 300_000)
    assert str(error.value) == "the response has more than 300,000 resources; raise max-message-size if that is right"


@pytest.mark.usefixtures("_small_pieces")
@BOTH
def test_resources_are_counted_over_all_pieces(data: bytes, parse: Parse) -> None:
    assert len(list(parse(data, 6)[1])) == 6
    with pytest.raises(SourceError, match="more than 5 resources"):
        parse(data, 5)
