"""Our proto files are wire-compatible with what they stand for: with Envoy's own classes, and with recorded traffic."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf import text_format
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from kuma_sd.proto.discovery_pb2 import DiscoveryRequest, DiscoveryResponse, Node, Status
from kuma_sd.proto.mads_v1_pb2 import MonitoringAssignment as AssignmentV1
from kuma_sd.proto.mads_v1alpha1_pb2 import MonitoringAssignment as AssignmentV1alpha1

ROOT = Path(__file__).parents[2]
RECORDED = sorted((ROOT / "tests/data").glob("*/grpc-*.binpb"))

# xds-protos overwrites what other packages install (google.rpc), so it lives in an environment of its own.
XDS_PYTHON = ROOT / ".venv-xds/bin/python"

# Parses the bytes on stdin; answers with the message as text, where unknown fields would be seen, and as its own bytes.
XDS_PROGRAM = """
import importlib, sys
from google.protobuf import text_format
message = getattr(importlib.import_module(sys.argv[1]), sys.argv[2]).FromString(sys.stdin.buffer.read())
text = text_format.MessageToString(message, print_unknown_fields=True)
sys.stdout.buffer.write(text.encode() + b"\\0" + message.SerializeToString())
"""

# No process here knows the type, so that its value stays bytes in the text as well.
RESOURCE = Any(type_url="type.googleapis.com/kuma.observability.v1.MonitoringAssignment", value=b"\x12\x04demo")
STATUS = Status(code=13, message="cannot be understood")
REQUEST = DiscoveryRequest(
    version_info="6f4d",
    node=Node(id="kuma_sd"),
    resource_names=["/meshes/default/dataplanes/a", "/meshes/default/dataplanes/b"],
    type_url=RESOURCE.type_url,
    response_nonce="7",
    error_detail=STATUS,
)
RESPONSE = DiscoveryResponse(
    version_info="6f4d", resources=[RESOURCE, RESOURCE], canary=True, type_url=RESOURCE.type_url, nonce="8"
)
TWINS = [
    ("envoy.service.discovery.v3.discovery_pb2", REQUEST),
    ("envoy.service.discovery.v3.discovery_pb2", RESPONSE),
    ("envoy.api.v2.discovery_pb2", REQUEST),
    ("envoy.api.v2.discovery_pb2", RESPONSE),
    ("envoy.config.core.v3.base_pb2", REQUEST.node),
    ("envoy.api.v2.core.base_pb2", REQUEST.node),
    ("google.rpc.status_pb2", STATUS),
]


def with_all_inside(message: Message) -> Iterator[Message]:
    """Yield a message and every message in it, at any depth."""
    yield message
    for field, value in message.ListFields():
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        if field.message_type is not None and not is_map:
            for inner in value if field.is_repeated else [value]:
                yield from with_all_inside(inner)


def assert_all_understood(message: Message, data: bytes) -> None:
    assert all(len(UnknownFieldSet(each)) == 0 for each in with_all_inside(message))
    assert message.ByteSize() == len(data)


def assignments_in(path: Path) -> Iterator[tuple[AssignmentV1 | AssignmentV1alpha1, bytes]]:
    """Yield the assignments of a recorded response and the bytes they were; none for a request."""
    if "-req-" not in path.name:
        kind = AssignmentV1alpha1 if "v1alpha1" in path.name else AssignmentV1
        for resource in DiscoveryResponse.FromString(path.read_bytes()).resources:
            yield kind.FromString(resource.value), resource.value


@pytest.fixture(scope="module")
def xds_python() -> Path:
    if not XDS_PYTHON.exists():
        reason = "there is no environment with xds-protos; script/test makes it"
        assert not os.environ.get("CI"), reason
        pytest.skip(reason)
    return XDS_PYTHON


@pytest.mark.parametrize(("module", "message"), TWINS)
def test_envoys_classes_read_our_bytes_and_we_read_theirs(xds_python: Path, module: str, message: Message) -> None:
    for field in message.DESCRIPTOR.fields:
        assert field in dict(message.ListFields()), f"{field.name} is not tried"
    command = [str(xds_python), "-c", XDS_PROGRAM, module, message.DESCRIPTOR.name]
    answer = subprocess.run(command, input=message.SerializeToString(), check=True, capture_output=True).stdout
    text, theirs = answer.split(b"\0", 1)
    assert text.decode() == text_format.MessageToString(message)
    ours = type(message).FromString(theirs)
    assert ours == message
    assert_all_understood(ours, theirs)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_nothing_in_recorded_traffic_is_unknown(path: Path) -> None:
    data = path.read_bytes()
    message = DiscoveryRequest.FromString(data) if "-req-" in path.name else DiscoveryResponse.FromString(data)
    assert_all_understood(message, data)
    for assignment, resource in assignments_in(path):
        assert_all_understood(assignment, resource)


def test_recorded_traffic_holds_every_field_that_kuma_sets() -> None:
    seen: set[str] = set()
    for path in RECORDED:
        for assignment, _ in assignments_in(path):
            for message in with_all_inside(assignment):
                seen.update(field.full_name for field, _ in message.ListFields())
    kinds = (AssignmentV1(), AssignmentV1.Target(), AssignmentV1alpha1(), AssignmentV1alpha1.Target())
    declared = {field.full_name for kind in kinds for field in kind.DESCRIPTOR.fields}
    # No Kuma sets labels on the assignment itself in v1.
    assert declared - seen == {"kuma_sd.mads.v1.MonitoringAssignment.labels"}
