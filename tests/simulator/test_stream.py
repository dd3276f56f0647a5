"""The state-of-the-world protocol, seen by a bare gRPC client."""

from collections.abc import Iterator

import grpc
import pytest
from raw_client import Connect

from kuma_sd.proto.discovery_pb2 import DiscoveryResponse, Status
from kuma_sd.proto.mads_v1_pb2 import MonitoringAssignment
from kuma_sd.simulator import Dataplane, SimulatedControlPlane, World, kuma
from kuma_sd.simulator.encoders import GrpcV1
from kuma_sd.simulator.stream import shuffled


@pytest.fixture
def control_plane() -> Iterator[SimulatedControlPlane[World]]:
    with SimulatedControlPlane(
        World([Dataplane("backend-01"), Dataplane("web-01", service="web")]), refresh=0
    ) as running:
        yield running


def names(response: DiscoveryResponse) -> list[str]:
    assert {resource.type_url for resource in response.resources} <= {GrpcV1.type_url}
    assignments = [MonitoringAssignment.FromString(resource.value) for resource in response.resources]
    return sorted(target.name for assignment in assignments for target in assignment.targets)


def test_a_new_stream_without_a_version_is_answered_at_once(
    control_plane: SimulatedControlPlane[World], connect: Connect
) -> None:
    client = connect(control_plane.address)
    client.ask()
    response = client.receive()
    assert (names(response), response.nonce, response.type_url) == (["backend-01", "web-01"], "1", GrpcV1.type_url)
    assert control_plane.requests[0].node.id == "test"


def test_an_ack_is_answered_when_something_changes_and_not_before(
    control_plane: SimulatedControlPlane[World], connect: Connect
) -> None:
    client = connect(control_plane.address)
    client.ask()
    first = client.receive()
    client.ack(first)
    control_plane.wait_for(lambda counts: counts.acks == 1)
    assert control_plane.counts.responses == 1
    control_plane.world.remove("web-01")
    second = client.receive()
    assert (names(second), second.nonce) == (["backend-01"], "2")
    assert second.version_info != first.version_info


def test_a_change_before_the_ack_is_sent_after_it(
    control_plane: SimulatedControlPlane[World], connect: Connect
) -> None:
    client = connect(control_plane.address)
    client.ask()
    first = client.receive()
    control_plane.world.add(Dataplane("redis-01"))
    client.ack(first)
    assert names(client.receive()) == ["backend-01", "redis-01", "web-01"]


def test_a_nack_gets_the_same_set_again_at_once(control_plane: SimulatedControlPlane[World], connect: Connect) -> None:
    client = connect(control_plane.address)
    client.ask()
    first = client.receive()
    client.ask("", first.nonce, error_detail=Status(code=3, message="no"))
    second = client.receive()
    assert (second.version_info, second.nonce, names(second)) == (first.version_info, "2", names(first))
    assert control_plane.counts.nacks == 1


@pytest.mark.parametrize("nonce", ["", "7"])
def test_a_stale_nonce_is_ignored(control_plane: SimulatedControlPlane[World], connect: Connect, nonce: str) -> None:
    client = connect(control_plane.address)
    client.ask()
    first = client.receive()
    client.ask("", nonce)  # would be answered at once if it counted
    client.ack(first)
    counts = control_plane.wait_for(lambda counts: counts.requests == 3)
    assert (counts.acks, counts.nacks, counts.responses) == (1, 0, 1)


def test_a_new_stream_that_names_the_present_version_waits_for_a_change(
    control_plane: SimulatedControlPlane[World], connect: Connect
) -> None:
    first = connect(control_plane.address)
    first.ask()
    version = first.receive().version_info
    second = connect(control_plane.address)
    second.ask(version)
    control_plane.wait_for(lambda counts: counts.requests == 2)
    assert control_plane.counts.responses == 1
    control_plane.world.clear()
    response = second.receive()
    assert (names(response), response.nonce) == ([], "1")


def test_a_request_for_another_type_is_never_answered(
    control_plane: SimulatedControlPlane[World], connect: Connect
) -> None:
    client = connect(control_plane.address)
    client.ask(type_url="type.googleapis.com/envoy.api.v2.Cluster")
    client.ask(type_url="")  # means the service's own type
    assert names(client.receive()) == ["backend-01", "web-01"]
    assert control_plane.counts.responses == 1


def test_half_closing_ends_a_stream_without_error(
    control_plane: SimulatedControlPlane[World], connect: Connect
) -> None:
    client = connect(control_plane.address)
    client.ask()
    client.receive()
    client.half_close()
    assert list(client.call) == []
    assert client.call.code() is grpc.StatusCode.OK
    control_plane.wait_for(lambda counts: counts.open == 0)


@pytest.mark.parametrize(
    "method",
    [
        "/kuma.observability.v1.MonitoringAssignmentDiscoveryService/DeltaMonitoringAssignments",
        "/kuma.observability.v1.MonitoringAssignmentDiscoveryService/FetchMonitoringAssignments",
        "/kuma.observability.v1alpha1.MonitoringAssignmentDiscoveryService/FetchMonitoringAssignments",
    ],
)
def test_every_other_method_is_unimplemented(
    control_plane: SimulatedControlPlane[World], connect: Connect, method: str
) -> None:
    client = connect(control_plane.address, method)
    client.ask()
    with pytest.raises(grpc.RpcError) as error:
        client.receive()
    assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert control_plane.counts.streams == 0


def test_bytes_that_are_no_request_end_the_stream_only(
    control_plane: SimulatedControlPlane[World], connect: Connect
) -> None:
    channel = connect(control_plane.address).channel
    stream: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(GrpcV1.method)
    call = stream(iter([b"\xff\xff"]), timeout=10)
    with pytest.raises(grpc.RpcError):
        next(call)
    client = connect(control_plane.address)
    client.ask()
    assert names(client.receive()) == ["backend-01", "web-01"]


def test_each_response_has_another_order(control_plane: SimulatedControlPlane[World], connect: Connect) -> None:
    control_plane.world.replace(Dataplane(f"backend-{number:03}") for number in range(100))
    client = connect(control_plane.address)
    orders = set()
    client.ask()
    for _ in range(3):
        response = client.receive()
        orders.add(tuple(resource.value for resource in response.resources))
        client.ask("", response.nonce)
    assert len(orders) == 3
    assert len({frozenset(order) for order in orders}) == 1


@pytest.mark.parametrize("count", [0, 1, 2, 999, 1000, 1001, 4321])
def test_shuffling_loses_nothing(count: int) -> None:
    resources = [str(number).encode() for number in range(count)]
    assert sorted(shuffled(resources)) == sorted(resources)


def test_after_a_time_without_streams_the_set_of_that_time_may_come_first(connect: Connect) -> None:
    world = World([Dataplane("backend-01")])
    for version, first in (("2.5.11", ["backend-01"]), ("2.6.15", ["backend-01", "web-01"])):
        world.replace([Dataplane("backend-01")])
        with SimulatedControlPlane(world, refresh=0, line=kuma(version), stale=True) as control_plane:
            client = connect(control_plane.address)
            client.ask()
            client.receive()
            client.half_close()
            control_plane.wait_for(lambda counts: counts.open == 0)
            world.add(Dataplane("web-01"))
            client = connect(control_plane.address)
            client.ask()
            response = client.receive()
            assert names(response) == first
            if len(first) == 1:
                client.ack(response)
                assert names(client.receive()) == ["backend-01", "web-01"]


def test_a_client_that_no_meshmetric_names_gets_an_empty_set_from_kuma_2_6(connect: Connect) -> None:
    world = World([Dataplane("backend-01")])
    for version, count in (("2.5.11", 1), ("2.6.15", 0)):
        with SimulatedControlPlane(world, refresh=0, line=kuma(version)) as control_plane:
            control_plane.serve_only("other")
            client = connect(control_plane.address)
            client.ask()
            assert len(client.receive().resources) == count
