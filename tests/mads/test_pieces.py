"""A response that is read piece by piece has the resources that it has as a whole, wherever the pieces end."""

import json
from collections.abc import Callable, Sequence
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
from kuma_sd.mads.codecs.v1alpha1 import V1ALPHA1_PROTOBUF
from kuma_sd.mads.errors import ForeignError, GarbledError
from kuma_sd.mads.grpc_response import parse as parse_grpc
from kuma_sd.mads.http_response import parse as parse_http
from kuma_sd.proto.discovery_pb2 import ReceivedResponse
from kuma_sd.proto.mads_v1_pb2 import MonitoringAssignment

# What looks like the border between two resources, in a label of one.
LIKE_BORDERS = ["\x12\x05\x0a\x3e" + TYPE_URL, '},{"@type"', ',{"@type":', "plain"]


def grpc_response(names: Sequence[str]) -> bytes:
    resources = [
        packed(MonitoringAssignment(mesh="default", targets=[{"name": name, "labels": {"a": name}}])) for name in names
    ]
    message = ReceivedResponse(version_info="v", nonce="n", type_url=TYPE_URL, resources=resources)
    return message.SerializeToString()


def http_response(names: Sequence[str], **writing: Any) -> bytes:
    resources = [
        {"@type": TYPE_URL, "mesh": "default", "targets": [{"name": name}, {"name": name, "labels": {"a": name}}]}
        for name in names
    ]
    return json.dumps({"version_info": "v", "resources": resources, "type_url": TYPE_URL}, **writing).encode()


@pytest.fixture(params=[1, 50, 400], ids="pieces of {} bytes".format)
def _small_pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE", request.param)


names_of_resources = st.lists(st.sampled_from(LIKE_BORDERS) | st.text(max_size=5), max_size=8)


@pytest.mark.usefixtures("_small_pieces")
@given(names_of_resources)
def test_a_response_over_grpc_is_the_same_in_pieces(names: Sequence[str]) -> None:
    data = grpc_response(names)
    parsed = parse_grpc(data, V1_PROTOBUF, MOST_VALUES)
    assert list(parsed) == list(ReceivedResponse.FromString(data).resources)
    assert parsed.envelope == (TYPE_URL, "v", "n")


@pytest.mark.usefixtures("_small_pieces")
@given(names_of_resources, st.sampled_from([{}, {"indent": 1}, {"separators": (",", ":")}, {"sort_keys": True}]))
def test_a_response_over_http_is_the_same_in_pieces(names: Sequence[str], writing: dict[str, Any]) -> None:
    body = http_response(names, **writing)
    parsed = parse_http(body, MOST_VALUES)
    assert [json.loads(resource) for resource in parsed] == json.loads(body)["resources"]
    assert parsed.envelope == (TYPE_URL, "v", "")


RECORDED = [
    path
    for folder in FOLDERS
    for path in sorted(folder.glob("*-v1*-0[0-9].*"))
    if "native" not in path.name and "req" not in path.name
]


@pytest.mark.usefixtures("_small_pieces")
@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_recorded_responses_are_the_same_in_pieces(path: Any) -> None:
    data = path.read_bytes()
    if path.suffix == ".json" and data:
        parsed = parse_http(data, MOST_VALUES)
        assert [json.loads(resource) for resource in parsed] == json.loads(data).get("resources", [])
    elif path.suffix == ".binpb":
        codec: ResourceCodec = V1ALPHA1_PROTOBUF if "v1alpha1" in path.name else V1_PROTOBUF
        assert list(parse_grpc(data, codec, MOST_VALUES)) == list(ReceivedResponse.FromString(data).resources)


@pytest.mark.usefixtures("_small_pieces")
@pytest.mark.parametrize("end", [3, 300, -40, -2])
@pytest.mark.parametrize(
    ("data", "parse"),
    [
        pytest.param(http_response("abcdef"), lambda data: parse_http(data, MOST_VALUES), id="HTTP"),
        pytest.param(grpc_response("abcdef"), lambda data: parse_grpc(data, V1_PROTOBUF, MOST_VALUES), id="gRPC"),
    ],
)
def test_a_response_that_is_cut_anywhere_is_refused(
    end: int, data: bytes, parse: Callable[[bytes], pieces.PieceByPiece]
) -> None:
    with pytest.raises(GarbledError):
        list(parse(data[:end]))


def test_another_version_between_the_resources_is_noticed_at_their_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE", 400)
    other = ReceivedResponse(version_info="other").SerializeToString()
    begin, end = grpc_response("abc" * 9), ReceivedResponse.FromString(grpc_response("abc" * 9))
    end.ClearField("version_info")
    with pytest.raises(GarbledError, match="its parts contradict each other"):
        list(parse_grpc(begin + other + end.SerializeToString(), V1_PROTOBUF, MOST_VALUES))


@pytest.mark.usefixtures("_small_pieces")
def test_resources_outside_of_their_list_are_no_resources() -> None:
    inside = http_response("ab")
    outside = b'{"others":[{"@type":""},{"@type":""}],' + inside[1:-1] + b',"more":[{"@type":""},{"@type":""}]}'
    assert list(parse_http(outside, MOST_VALUES)) == list(parse_http(inside, MOST_VALUES))


def test_a_response_of_another_kind_is_foreign() -> None:
    with pytest.raises(ForeignError, match="it has no version_info"):
        parse_grpc(ReceivedResponse(type_url=TYPE_URL).SerializeToString(), V1_PROTOBUF, MOST_VALUES)
    with pytest.raises(ForeignError, match="it has no type_url"):
        parse_http(b'{"version_info":"1"}', MOST_VALUES)


TINY = {
    "gRPC": (grpc_response("a") + b"\x12\x00" * 5000, lambda data: parse_grpc(data, V1_PROTOBUF, 1000)),
    "unknown fields over gRPC": (b"\x30\x00" * 5000, lambda data: parse_grpc(data, V1_PROTOBUF, 1000)),
    "HTTP": (http_response("a").replace(b"[", b"[" + b"{}," * 5000, 1), lambda data: parse_http(data, 1000)),
    "numbers over HTTP": (
        http_response("a").replace(b"[", b"[" + b"1," * 5000, 1),
        lambda data: parse_http(data, 1000),
    ),
}


@pytest.mark.parametrize(("data", "parse"), TINY.values(), ids=TINY)
def test_too_many_values_are_refused_with_what_to_do(
    data: bytes, parse: Callable[[bytes], pieces.PieceByPiece]
) -> None:
    with pytest.raises(TooManyValuesError) as error:
        list(parse(data))
    assert str(error.value) == "the response has more than 1,000 values; raise max-message-size if that is right"


@pytest.mark.usefixtures("_small_pieces")
def test_resources_are_counted_over_all_pieces() -> None:
    data = grpc_response([str(number) for number in range(100)])
    assert len(list(parse_grpc(data, V1_PROTOBUF, 100))) == 100
    with pytest.raises(SourceError, match="more than 99 values"):
        list(parse_grpc(data, V1_PROTOBUF, 99))
