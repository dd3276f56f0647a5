"""What a response has besides resources is limited, over both transports."""

import json
from collections.abc import Callable

import pytest
from resources import packed

from kuma_sd.core.value_limits import MOST_VALUES, TooManyValuesError
from kuma_sd.mads.codecs.v1 import TYPE_URL, V1_PROTOBUF
from kuma_sd.mads.envelope import LARGEST_FIELD, LONGEST_TEXT, MOST_FIELDS, Envelope
from kuma_sd.mads.errors import ForeignError, GarbledError
from kuma_sd.mads.grpc_response import parse as parse_grpc
from kuma_sd.mads.http_response import parse as parse_http
from kuma_sd.mads.pieces import PIECE, Resources
from kuma_sd.proto.discovery_pb2 import ReceivedResponse
from kuma_sd.proto.mads_v1_pb2 import MonitoringAssignment

TEXT = "🙂" * LONGEST_TEXT

LARGE = packed(MonitoringAssignment(mesh="m", targets=[{"name": "n" * 3 * PIECE}]))
"""A resource without a border that could be found; so all that is before it is gone through field by field."""


def over_grpc(data: bytes) -> tuple[Envelope, Resources]:
    return parse_grpc(data, V1_PROTOBUF, MOST_VALUES)


def over_http(body: bytes) -> tuple[Envelope, Resources]:
    return parse_http(bytearray(body), MOST_VALUES)


def grpc_response(before: bytes = b"", name: str = "nonce", text: str = "n") -> bytes:
    texts = {"version_info": "v", "type_url": TYPE_URL} | {name: text}
    return before + ReceivedResponse(resources=[LARGE], **texts).SerializeToString()


def http_response(before: bytes = b"", name: str = "nonce", text: str = "n") -> bytes:
    texts = {"version_info": "v", "type_url": TYPE_URL} | {name: text}
    return b"{" + before + json.dumps({"resources": [{}], **texts}, ensure_ascii=False).encode()[1:]


@pytest.mark.parametrize("name", ["version_info", "nonce", "type_url"])
def test_a_text_over_grpc_may_be_long_but_not_longer(name: str) -> None:
    if name != "type_url":
        assert TEXT in over_grpc(grpc_response(name=name, text=TEXT))[0]
    with pytest.raises(ForeignError, match=rf"no MADS response \(its {name} has more than 4,096 characters\)"):
        over_grpc(grpc_response(name=name, text=TEXT + "a"))


@pytest.mark.parametrize("name", ["version_info", "type_url"])
def test_a_text_over_http_may_be_long_but_not_longer(name: str) -> None:
    if name != "type_url":
        assert TEXT in over_http(http_response(name=name, text=TEXT))[0]
    with pytest.raises(ForeignError, match=rf"no MADS response \(its {name} has more than 4,096 characters\)"):
        over_http(http_response(name=name, text=TEXT + "a"))


MANY: dict[str, tuple[Callable[[bytes], object], Callable[[bytes], bytes], bytes]] = {
    "versions over gRPC": (over_grpc, grpc_response, b"\x0a\x01v"),
    "unknown fields over gRPC": (over_grpc, grpc_response, b"\x38\x00"),
    "groups over gRPC": (over_grpc, grpc_response, b"\x3b\x3c"),
    "lists over HTTP": (over_http, http_response, b'"resources":[],'),
    "versions over HTTP": (over_http, http_response, b'"version_info":"v",'),
    "unknown fields over HTTP": (over_http, http_response, b'"a":{},'),
}


@pytest.mark.parametrize(("parse", "response", "field"), MANY.values(), ids=MANY)
def test_a_response_may_have_many_fields_besides_resources_but_not_more(
    parse: Callable[[bytes], object], response: Callable[[bytes], bytes], field: bytes
) -> None:
    parse(response(field * (MOST_FIELDS - 4)))
    with pytest.raises(ForeignError, match=r"no MADS response \(it has more than 1,000 fields besides resources\)"):
        parse(response(field * MOST_FIELDS))


def test_a_field_besides_resources_may_be_large_but_not_larger() -> None:
    problem = r"no MADS response \(it has a field besides resources that is larger than 1\.0 MiB\)"
    size = LARGEST_FIELD - 10
    over_http(http_response(b'"a":"%b",' % (b"x" * size)))
    with pytest.raises(ForeignError, match=problem):
        over_http(http_response(b'"a":"%b",' % (b"x" * LARGEST_FIELD)))
    over_grpc(grpc_response(b"\x3a\xf6\xff\x3f" + b"x" * size))
    with pytest.raises(ForeignError, match=problem):
        over_grpc(grpc_response(b"\x3a\x80\x80\x40" + b"x" * LARGEST_FIELD))


@pytest.mark.parametrize(
    ("last", "resources"), [("[6, 7]", [6, 7]), ("null", []), ("[]", [])], ids=["another list", "null", "nothing"]
)
def test_of_equal_names_over_http_the_last_one_counts(last: str, resources: list[int]) -> None:
    body = f'{{"version_info":"a","resources":[1],"type_url":"{TYPE_URL}","version_info":"b","resources":{last}}}'
    envelope, found = over_http(body.encode())
    assert ([json.loads(resource) for resource in found], envelope.version) == (resources, "b")


@pytest.mark.parametrize("body", ["", "{", "[]", "{1:2}", '{"a"}', '{"a":1', '{"a":1]', '{"a":1,}', "{}{}", '{"a":x}'])
def test_what_is_no_object_of_fields_is_no_response_over_http(body: str) -> None:
    with pytest.raises(
        GarbledError, match=r"no MADS response \((JSON is malformed: .*\(byte \d\)|Input .*truncated)\)"
    ):
        over_http(body.encode())


def test_white_space_around_fields_may_be_large_but_not_larger() -> None:
    response, some, much = http_response(), b" " * (LARGEST_FIELD - 9), b"\n" * (LARGEST_FIELD + 1)
    assert len(over_http(some + response.replace(b":", b":" + some, 1) + some)[1]) == 1
    for body in (much + response, response.replace(b":", b":" + much, 1)):
        with pytest.raises(GarbledError, match="it has too much white space"):
            over_http(body)
    with pytest.raises(GarbledError, match="trailing characters"):
        over_http(response + much)


@pytest.mark.parametrize("size", [1, LONGEST_TEXT, LARGEST_FIELD // 2])
def test_white_space_between_a_name_and_its_colon_hides_no_field(size: int) -> None:
    response = http_response()
    for name in (b'"type_url"', b'"version_info"', b'"resources"'):
        assert name in response
        envelope, found = over_http(response.replace(name, name + b" " * size))
        assert (envelope, list(found)) == (over_http(response)[0], list(over_http(response)[1]))


def test_the_resources_of_lists_that_later_ones_replace_count_too() -> None:
    lists = b'"resources":[{},{}],' * 3
    assert len(parse_http(bytearray(http_response(lists)), most=7)[1]) == 1
    with pytest.raises(TooManyValuesError):
        parse_http(bytearray(http_response(lists)), most=6)


def test_the_empty_object_has_no_type() -> None:
    with pytest.raises(ForeignError, match="it has no type_url"):
        over_http(b" { } ")


# Field 7, which a response does not have.
GROUPS = {
    "an empty one": b"\x3b\x3c",
    "one with a text": b"\x3b\x3a\x03abc\x3c",
    "one with what looks like a resource": b"\x3b\x12\x02\x0a\x00\x3c",
    "one in another": b"\x3b\x43\x44\x3c",
    "as deep as protobuf allows": b"\x3b" * 100 + b"\x3c" * 100,
    "one with a high number": b"\xfb\xff\xff\xff\x0f\xfc\xff\xff\xff\x0f",
}


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS)
def test_an_unknown_group_before_a_large_resource_is_skipped(group: bytes) -> None:
    envelope, resources = over_grpc(grpc_response(group))
    assert list(resources) == [LARGE]
    assert envelope.version == "v"


MALFORMED_GROUPS = {
    "one without end": b"\x3b",
    "one that ends with another number": b"\x3b\x44",
    "an end alone": b"\x3c",
    "deeper than protobuf allows": b"\x3b" * 101 + b"\x3c" * 101,
    "one with too many fields": b"\x3b" + b"\x38\x00" * MOST_FIELDS + b"\x3c",
}


@pytest.mark.parametrize("group", MALFORMED_GROUPS.values(), ids=MALFORMED_GROUPS)
def test_a_group_that_protobuf_would_not_skip_and_one_with_too_many_fields_are_refused(group: bytes) -> None:
    with pytest.raises(GarbledError, match="its answer is no DiscoveryResponse"):
        over_grpc(grpc_response(group))


def test_a_large_resource_is_one_however_its_tag_is_written() -> None:
    large = b"x" * (LARGEST_FIELD + 1)
    _, resources = over_grpc(grpc_response(b"\x92\x00\x81\x80\x40" + large))
    assert list(resources) == [large, LARGE]
