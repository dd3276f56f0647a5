from pathlib import Path

from kuma_sd.proto.discovery_pb2 import DiscoveryResponse
from kuma_sd.proto.mads_v1_pb2 import MonitoringAssignment
from kuma_sd.simulator import Dataplane
from kuma_sd.simulator.formats import GrpcV1

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
    other = DATAPLANE._replace(labels=dict(reversed(DATAPLANE.labels.items())))
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
