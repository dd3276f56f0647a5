"""Whatever a control plane sends, nothing but a SourceError comes out, and what is published can be read."""

import contextlib
import json
from collections.abc import Sequence
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from resources import packed

from kuma_sd import SourceError
from kuma_sd.core.value_limits import MOST_VALUES
from kuma_sd.mads import grpc_response, http_response
from kuma_sd.mads.codecs import ResourceCodec, v1alpha1
from kuma_sd.mads.codecs.v1 import V1_PROTOBUF
from kuma_sd.mads.codecs.v1_json import TYPE_URL, V1_JSON
from kuma_sd.mads.codecs.v1alpha1 import V1ALPHA1_PROTOBUF
from kuma_sd.mads.decoder import Decoder, MadsResponse
from kuma_sd.pipeline.chain import Chain
from kuma_sd.prometheus.label_names import is_valid
from kuma_sd.prometheus.label_profiles import PROFILES, LabelProfile
from kuma_sd.proto import mads_v1_pb2, mads_v1alpha1_pb2

CODECS: list[ResourceCodec] = [V1_PROTOBUF, V1ALPHA1_PROTOBUF, V1_JSON]

# The one in C, where there is one: it is ten times as fast.
LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# Among them what JSON, YAML, files of lines and terminals treat specially.
texts = st.text(st.sampled_from("ab09_-./:\\\"'{}[]#%\n\r\t\0\x1b\x7f\x85\u2028\ufeff\ufffeé𝄞"), max_size=12) | st.text(
    max_size=20
)
labels = st.dictionaries(st.sampled_from(["job", "mesh", "dataplane", "__address__", "instance"]) | texts, texts)


@st.composite
def v1_assignments(draw: st.DrawFn) -> bytes:
    message = mads_v1_pb2.MonitoringAssignment(mesh=draw(texts), service=draw(texts), labels=draw(labels))
    for _ in range(draw(st.integers(0, 3))):
        name, address, path = draw(st.tuples(texts, texts, texts))
        message.targets.add(name=name, address=address, metrics_path=path, scheme=draw(texts), labels=draw(labels))
    return packed(message)


@st.composite
def v1alpha1_assignments(draw: st.DrawFn) -> bytes:
    message = mads_v1alpha1_pb2.MonitoringAssignment(name=draw(texts), labels=draw(labels))
    for each in draw(st.lists(labels, max_size=3)):
        message.targets.add(labels=each)
    return packed(message, v1alpha1.TYPE_URL)


@st.composite
def json_assignments(draw: st.DrawFn) -> bytes:
    names = ["name", "address", "scheme", "metrics_path", "metricsPath"]
    targets = st.dictionaries(st.sampled_from(names), texts)
    fields: dict[str, object] = {"mesh": draw(texts), "service": draw(texts), "labels": draw(labels), "@type": TYPE_URL}
    fields["targets"] = [draw(targets) | {"labels": draw(labels)} for _ in range(draw(st.integers(0, 3)))]
    return json.dumps(fields, ensure_ascii=draw(st.booleans())).encode()


def publish(codec: ResourceCodec, responses: Sequence[Sequence[bytes]], profile: str) -> None:
    decoder, chain = Decoder(""), Chain(LabelProfile(profile))
    for resources in responses:
        with contextlib.suppress(SourceError):
            assignments, _ = decoder.decode(MadsResponse(codec, resources))
            lines = chain.publication(assignments, received=1.0).lines
            for line in lines:
                assert b"\n" not in line
                check(json.loads(line))
            text = b"".join(b"- %b\n" % line for line in lines)
            assert yaml.load(text, LOADER) == (list(map(json.loads, lines)) or None)  # noqa: S506 (a safe one)


def check(group: dict[str, Any]) -> None:
    assert len(group["targets"]) == 1
    assert group["targets"][0]
    assert all(is_valid(name) and value for name, value in group["labels"].items())


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
@given(st.lists(st.lists(st.binary(max_size=60), max_size=4), max_size=3))
def test_bytes_are_decoded_or_refused(codec: ResourceCodec, responses: list[list[bytes]]) -> None:
    publish(codec, responses, "kuma-prometheus-sd")


@pytest.mark.parametrize("profile", PROFILES)
@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(v1_assignments(), max_size=4), max_size=3))
def test_any_assignment_of_v1_is_published_so_that_it_can_be_read(profile: str, responses: list[list[bytes]]) -> None:
    publish(V1_PROTOBUF, responses, profile)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(v1alpha1_assignments(), max_size=4), max_size=3))
def test_any_assignment_of_v1alpha1_is_published_so_that_it_can_be_read(responses: list[list[bytes]]) -> None:
    publish(V1ALPHA1_PROTOBUF, responses, "both")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(json_assignments(), max_size=4), max_size=3))
def test_any_assignment_in_json_is_published_so_that_it_can_be_read(responses: list[list[bytes]]) -> None:
    publish(V1_JSON, responses, "both")


JSON = st.recursive(
    st.none() | st.booleans() | texts | st.integers() | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["version_info", "versionInfo", "resources", "targets", "@type"]), inner)
    ),
    max_leaves=10,
)


@given(JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=100))
def test_any_body_over_http_is_decoded_or_refused(body: bytes) -> None:
    with contextlib.suppress(SourceError):
        _, resources = http_response.parse(bytearray(body), MOST_VALUES)
        publish(V1_JSON, [list(resources)], "both")


@pytest.mark.parametrize("text", [rb"\ud800", rb"\udc00\ud800", b"\xff", b"\x00", rb"\u0000"])
def test_json_that_is_no_unicode_is_decoded_or_refused(text: bytes) -> None:
    target = b'{"name":"a%b","address":"b:1","labels":{"c%b":"%b"}}' % (text, text, text)
    publish(V1_JSON, [[b'{"@type":"%b","mesh":"%b","targets":[%b]}' % (TYPE_URL.encode(), text, target)]], "both")


IN_A_RESOURCE = b'{"version_info":"1","type_url":"%b","resources":[{"mesh":"\xee"}]}' % TYPE_URL.encode()


@pytest.mark.parametrize("body", [b"\xee", b'{"version_info":"\xee"}', IN_A_RESOURCE])
def test_a_body_that_is_no_unicode_is_refused(body: bytes) -> None:
    def resources() -> list[object]:
        return [list(V1_JSON.split(raw)) for raw in http_response.parse(bytearray(body), MOST_VALUES)[1]]

    with pytest.raises(SourceError):
        resources()


@given(st.binary(max_size=200))
def test_any_message_over_grpc_is_parsed_or_refused(data: bytes) -> None:
    with contextlib.suppress(SourceError):
        publish(V1_PROTOBUF, [list(grpc_response.parse(data, V1_PROTOBUF, MOST_VALUES)[1])], "both")
