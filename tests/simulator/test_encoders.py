import json
from pathlib import Path

import pytest

from kuma_sd.proto.discovery_pb2 import DiscoveryResponse
from kuma_sd.proto.mads_v1_pb2 import MonitoringAssignment
from kuma_sd.proto.mads_v1alpha1_pb2 import MonitoringAssignment as AlphaAssignment
from kuma_sd.simulator import Dataplane
from kuma_sd.simulator.encoders import GrpcV1, GrpcV1alpha1, HttpV1

DATAPLANE = Dataplane(
    "backend-01", "demo", "backend", "192.0.2.1:1234", "https", "/custom", {"env": "prod", "envs": ",prod,"}
)


def test_a_dataplane_is_an_assignment_with_one_target() -> None:
    resource = GrpcV1().resource(DATAPLANE)
    response = DiscoveryResponse.FromString(GrpcV1().response("v", "1", [resource, resource]))
    assert (response.version_info, response.nonce, response.type_url) == ("v", "1", GrpcV1.type_url)
    assert [resource.type_url for resource in response.resources] == [GrpcV1.type_url] * 2
    target = MonitoringAssignment.Target(
        name="backend-01", scheme="https", address="192.0.2.1:1234", metrics_path="/custom", labels=DATAPLANE.labels
    )
    expected = MonitoringAssignment(mesh="demo", service="backend", targets=[target])
    assert MonitoringAssignment.FromString(response.resources[0].value) == expected


def test_equal_dataplanes_have_equal_bytes_whatever_the_order_of_their_labels() -> None:
    other = DATAPLANE._replace(labels=dict(reversed(list(DATAPLANE.labels.items()))))
    assert GrpcV1().resource(DATAPLANE) == GrpcV1().resource(other)


def test_an_empty_response_is_as_recorded_from_kuma(data: Path) -> None:
    recorded = (data / "kuma-1.2.3" / "grpc-v1-00.binpb").read_bytes()
    version = DiscoveryResponse.FromString(recorded).version_info
    assert GrpcV1().response(version, "1", []) == recorded


def test_the_same_resources_in_the_same_order_are_the_same_bytes_as_recorded(data: Path) -> None:
    for path in sorted(data.glob("kuma-*/grpc-v1-[0-9][0-9].binpb")):
        recorded = path.read_bytes()
        parsed = DiscoveryResponse.FromString(recorded)
        assert GrpcV1().response(parsed.version_info, parsed.nonce, GrpcV1().recorded(recorded)) == recorded


def test_recorded_assignments_can_be_said_as_dataplanes(data: Path) -> None:
    for path in sorted(data.glob("kuma-*/grpc-v1-[0-9][0-9].binpb")):
        for resource in DiscoveryResponse.FromString(path.read_bytes()).resources:
            recorded = MonitoringAssignment.FromString(resource.value)
            response = DiscoveryResponse.FromString(GrpcV1().resource(_read(recorded)))
            assert MonitoringAssignment.FromString(response.resources[0].value) == recorded


def _read(assignment: MonitoringAssignment) -> Dataplane:
    [target] = assignment.targets
    return Dataplane(
        target.name,
        assignment.mesh,
        assignment.service,
        target.address,
        target.scheme,
        target.metrics_path,
        dict(target.labels),
    )


def test_v1alpha1_has_labels_for_what_are_fields_later() -> None:
    response = DiscoveryResponse.FromString(GrpcV1alpha1().resource(DATAPLANE))
    assignment = AlphaAssignment.FromString(response.resources[0].value)
    assert assignment.name == "/meshes/demo/dataplanes/backend-01"
    assert [dict(target.labels) for target in assignment.targets] == [{"__address__": "192.0.2.1:1234"}]
    facts = {"__scheme__": "https", "__metrics_path__": "/custom", "mesh": "demo"}
    names = {"job": "backend", "instance": "backend-01", "dataplane": "backend-01"}
    assert dict(assignment.labels) == {**DATAPLANE.labels, **facts, **names}


def test_before_kuma_0_7_the_tag_of_the_service_was_called_otherwise() -> None:
    dataplane = Dataplane("a", labels={"kuma_io_service": "backend", "kuma_io_services": ",backend,"})
    response = DiscoveryResponse.FromString(GrpcV1alpha1("service").resource(dataplane))
    labels = AlphaAssignment.FromString(response.resources[0].value).labels
    assert (labels["service"], labels["services"]) == ("backend", ",backend,")
    assert not {"kuma_io_service", "kuma_io_services"} & set(labels)


def test_recorded_v1alpha1_responses_are_the_same_bytes_again(data: Path) -> None:
    form, paths = GrpcV1alpha1(), sorted(data.glob("kuma-*/grpc-v1alpha1-[0-9][0-9].binpb"))
    assert len(paths) > 10
    for path in paths:
        recorded = path.read_bytes()
        parsed = DiscoveryResponse.FromString(recorded)
        assert form.response(parsed.version_info, parsed.nonce, form.recorded(recorded)) == recorded


def test_recorded_http_responses_are_the_same_bytes_again(data: Path) -> None:
    form, paths = HttpV1(), sorted(data.glob("kuma-*/http-v1-[0-9][0-9].json"))
    assert len(paths) > 20
    for path in paths:
        recorded = path.read_bytes()
        version = json.loads(recorded)["version_info"]
        assert b"".join(form.pieces(version, form.recorded(recorded))) == recorded


def test_a_dataplane_over_http_is_written_as_kuma_writes_it(data: Path) -> None:
    form, compared = HttpV1(), 0
    for path in sorted(data.glob("kuma-*/http-v1-[0-9][0-9].json")):
        for recorded in form.recorded(path.read_bytes()):
            parsed = json.loads(recorded)
            [target] = parsed["targets"]
            dataplane = Dataplane(mesh=parsed["mesh"], service=parsed["service"], **target)
            assert form.resource(dataplane) == recorded
            compared += 1
    assert compared > 100


def test_kuma_3_writes_no_labels() -> None:
    assert b"labels" in HttpV1().resource(DATAPLANE)
    assert b"labels" not in HttpV1(labels=False).resource(DATAPLANE)


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 1234])
def test_the_pieces_of_a_response_are_one_document(count: int) -> None:
    resources = [json.dumps({"number": number}).encode() for number in range(count)]
    pieces = list(HttpV1().pieces("v", resources))
    parsed = json.loads(b"".join(pieces))
    assert [resource["number"] for resource in parsed.get("resources", [])] == list(range(count))
    assert len(pieces) == 1 + (count + 499) // 500
