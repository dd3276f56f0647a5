"""Responses of many pieces over real connections: each is taken as a whole, or not at all."""

import ctypes
import json
import queue
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import grpc
import pytest
from http_server import http_server
from mads_streams import mads_streams
from resources import packed

from kuma_sd import SourceError
from kuma_sd.core.value_limits import MOST_VALUES
from kuma_sd.mads.codecs.v1 import TYPE_URL, V1_PROTOBUF
from kuma_sd.mads.codecs.v1alpha1 import TYPE_URL as OLD_TYPE_URL
from kuma_sd.mads.grpc_response import parse
from kuma_sd.mads.pieces import PIECE
from kuma_sd.mads.plugin import MadsOptions
from kuma_sd.mads.source import MadsSource
from kuma_sd.proto.discovery_pb2 import DiscoveryRequest, ReceivedResponse
from kuma_sd.proto.mads_v1_pb2 import MonitoringAssignment
from kuma_sd.proto.mads_v1alpha1_pb2 import MonitoringAssignment as OldMonitoringAssignment

TARGETS = 11_000
LABELS = {f"kuma_io_label_{number}": f"value-{number}" for number in range(25)}
LIMIT = 2**25
"""max-message-size, in bytes, at which fewer values are allowed than these targets have."""


def source(address: str, transport: str) -> MadsSource:
    return MadsSource(f"http://{address}", MadsOptions(transport=transport, max_message_size=LIMIT), "")


def http_body(targets: int, keys: Iterable[str], **writing: Any) -> bytes:
    """Return a response in which the resources have their keys in this order."""
    target = {"name": "NAME", "address": "192.0.2.1:5670", "labels": LABELS}
    resource: Mapping[str, object] = {"@type": TYPE_URL, "mesh": "default", "service": "a", "targets": [target]}
    text = json.dumps({key: resource[key] for key in keys}, **writing)
    resources = ",\n".join(text.replace("NAME", f"a-{number:05}") for number in range(targets))
    return f'{{"resources": [{resources}], "type_url": "{TYPE_URL}", "version_info": "1"}}'.encode()


def grpc_message(targets: int, between: Iterable[bytes] = ()) -> bytes:
    target: dict[str, Any] = {"address": "192.0.2.1:5670", "labels": LABELS}
    assignments = (
        MonitoringAssignment(mesh="default", service="a", targets=[{"name": f"a-{number:05}", **target}])
        for number in range(targets)
    )
    resources = [packed(assignment) for assignment in assignments]
    resources[targets // 2 : targets // 2] = between
    message = ReceivedResponse(version_info="1", nonce="1", type_url=TYPE_URL, resources=resources)
    return message.SerializeToString()


@pytest.mark.parametrize("keys", [["@type", "mesh", "service", "targets"], ["targets", "service", "mesh", "@type"]])
@pytest.mark.parametrize("writing", [{"separators": (",", ":")}, {"indent": 4}], ids=["compact", "pretty"])
def test_a_response_is_taken_however_a_gateway_writes_it(keys: list[str], writing: dict[str, Any]) -> None:
    body = http_body(TARGETS, keys, **writing)
    assert body.count(b",") > MOST_VALUES
    with http_server() as server:
        server.answer(body=body)
        snapshot = next(iter(source(server.address, "http")))
    assert len(snapshot.assignments) == TARGETS
    assert not snapshot.unreadable
    assert snapshot.assignments[-1].read().labels == LABELS


def test_targets_of_another_version_among_the_others_are_all_that_is_unreadable() -> None:
    labels = {f"label_{number}": f"value-{number}" for number in range(PIECE // 10)}
    old = OldMonitoringAssignment(name="a", targets=[{"labels": labels}])
    message = grpc_message(TARGETS, [packed(old, OLD_TYPE_URL)] * 3)
    with mads_streams(lambda _requests, _context: iter([message])) as address:
        snapshot = next(iter(source(address, "grpc")))
    assert len(snapshot.assignments) == TARGETS
    assert len(snapshot.unreadable) == 1


@pytest.mark.parametrize("part", [0.5, 1])
def test_a_message_that_is_broken_anywhere_is_not_acknowledged_and_nothing_of_it_is_taken(part: float) -> None:
    requests: queue.Queue[bytes | None] = queue.Queue()
    message = grpc_message(TARGETS)
    assert len(message) > 3 * PIECE
    place = int(len(message) * part)
    answers = iter([message[: place - 5] + message[place:], message])

    def answer(asked: Iterator[bytes], _context: grpc.ServicerContext) -> Iterator[bytes]:
        requests.put(next(asked))
        try:
            yield next(answers)
            for request in asked:
                requests.put(request)
        finally:
            requests.put(None)

    with mads_streams(answer) as address:
        mads = source(address, "grpc")
        with pytest.raises(SourceError, match="its answer is no DiscoveryResponse"):
            next(iter(mads))
        first = requests.get(timeout=10)
        assert first
        assert not DiscoveryRequest.FromString(first).response_nonce
        assert requests.get(timeout=10) is None, "it was acknowledged"
        assert (mads.status.responses, mads.status.parse_errors) == (0, 1)
        assert len(next(iter(mads)).assignments) == TARGETS


@pytest.mark.parametrize("part", [0.5, 1])
def test_json_that_is_broken_anywhere_fails_the_connection_and_nothing_of_it_is_taken(part: float) -> None:
    body = http_body(TARGETS, ["@type", "mesh", "targets"])
    colon = body.rindex(b'":', 0, int(len(body) * part)) + 1
    broken = body[:colon] + body[colon + 1 :]
    assert len(body) > 3 * PIECE
    with http_server() as server:
        server.answer(body=broken)
        server.answer(body=body)
        mads = source(server.address, "http")
        with pytest.raises(SourceError, match=r"its answer is no MADS response \(JSON is malformed: expected ':'"):
            next(iter(mads))
        assert (mads.status.responses, mads.status.parse_errors) == (0, 1)
        assert len(next(iter(mads)).assignments) == TARGETS
        versions = [json.loads(server.requests.get(timeout=10).body)["version_info"] for _ in range(2)]
    assert versions == ["", ""], "the broken one must not count as received"


class _Allocated(ctypes.Structure):
    """``struct mallinfo2`` of glibc's malloc.h."""

    _fields_ = [(name, ctypes.c_size_t) for name in ("a", "b", "c", "d", "mapped", "e", "f", "used", "g", "h")]


def allocated() -> int:
    """Return how much memory malloc has given out, in bytes; protobuf takes its memory there."""
    mallinfo = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if mallinfo is None:
        pytest.skip("this C library does not tell how much memory is allocated")
    mallinfo.restype = _Allocated
    found = mallinfo()
    return int(found.used + found.mapped)


def allocated_for(message: bytes) -> tuple[int, int]:
    """Return how much memory a response needs beside its message: once it is parsed, and at most while it is used."""
    before = allocated()
    _, resources = parse(message, V1_PROTOBUF, MOST_VALUES)
    assert len(resources) == TARGETS
    return allocated() - before, max(allocated() - before for _ in resources)


def test_a_message_is_in_memory_once_while_its_resources_are_used() -> None:
    message = grpc_message(TARGETS)
    # Threads of earlier tests allocate too, so the least counts.
    parsed, used = map(min, zip(*(allocated_for(message) for _ in range(5)), strict=True))
    assert parsed < len(message) / 10
    assert used < len(message) / 3
