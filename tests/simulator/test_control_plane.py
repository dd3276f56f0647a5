import threading
import time
from collections.abc import Iterator

import grpc
import pytest
from raw_client import Connect

from kuma_sd import ConfigError
from kuma_sd.proto.discovery_pb2 import DiscoveryResponse
from kuma_sd.simulator import Dataplane, SimulatedControlPlane, World


@pytest.fixture
def control_plane() -> Iterator[SimulatedControlPlane[World]]:
    with SimulatedControlPlane(World([Dataplane("backend-01")]), refresh=0) as running:
        yield running


def test_it_comes_back_at_the_same_port_with_new_versions(
    control_plane: SimulatedControlPlane[World], connect: Connect
) -> None:
    address, versions = control_plane.address, set()
    for _ in range(5):
        client = connect(address)
        client.ask()
        response = client.receive()
        versions.add(response.version_info)
        assert (response.nonce, len(response.resources)) == ("1", 1)
        control_plane.close()
        with pytest.raises(grpc.RpcError) as error:
            client.receive()
        assert error.value.code() is grpc.StatusCode.UNAVAILABLE
        assert control_plane.start() == address
    assert len(versions) == 5


def test_it_can_come_back_empty(control_plane: SimulatedControlPlane[World], connect: Connect) -> None:
    control_plane.close()
    control_plane.world.clear()
    control_plane.start()
    client = connect(control_plane.address)
    client.ask()
    assert not client.receive().resources


def test_closing_is_quick_while_streams_are_open(control_plane: SimulatedControlPlane[World], connect: Connect) -> None:
    for _ in range(20):
        connect(control_plane.address).ask()
    control_plane.wait_for(lambda counts: counts.responses == 20)
    started = time.monotonic()
    control_plane.close()
    assert time.monotonic() - started < 0.3
    assert control_plane.counts.open == 0
    control_plane.close()


def test_two_never_share_a_port(control_plane: SimulatedControlPlane[World], capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match=f"cannot listen at {control_plane.address}"):
        SimulatedControlPlane(World(), port=int(control_plane.address.rpartition(":")[2])).start()
    assert len(capfd.readouterr().err.splitlines()) <= 10


def test_it_listens_on_ipv6(connect: Connect) -> None:
    with SimulatedControlPlane(World(), host="[::1]") as control_plane:
        assert control_plane.url.startswith("grpc://[::1]:")
        client = connect(control_plane.address)
        client.ask()
        assert client.receive().nonce == "1"


def test_replicas_serve_one_world_under_versions_of_their_own(
    control_plane: SimulatedControlPlane[World], connect: Connect
) -> None:
    with SimulatedControlPlane(control_plane.world, refresh=0) as replica:
        responses = []
        for address in (control_plane.address, replica.address):
            client = connect(address)
            client.ask()
            responses.append(client.receive())
            client.ack(responses[-1])
            control_plane.world.add(Dataplane("web-01"))
            responses.append(client.receive())
            control_plane.world.remove("web-01")
    assert len({response.version_info for response in responses}) == 4
    assert [len(response.resources) for response in responses] == [1, 2, 1, 2]


def test_changes_within_the_refresh_interval_come_together(connect: Connect) -> None:
    with SimulatedControlPlane(World(), refresh=0.3) as control_plane:
        client = connect(control_plane.address)
        client.ask()
        client.ack(client.receive())
        control_plane.world.add(Dataplane("backend-00"))
        client.ack(client.receive())
        started = time.monotonic()
        for number in range(1, 10):
            control_plane.world.add(Dataplane(f"backend-{number:02}"))
        assert len(client.receive().resources) == 10
        assert time.monotonic() - started > 0.2


def test_without_a_refresh_interval_a_change_is_in_force_when_its_call_returns(
    control_plane: SimulatedControlPlane[World], connect: Connect
) -> None:
    for number in range(10):
        control_plane.world.add(Dataplane(f"web-{number}"))
        client = connect(control_plane.address)
        client.ask()
        assert len(client.receive().resources) == number + 2


def test_a_change_that_changes_nothing_has_no_new_version(
    control_plane: SimulatedControlPlane[World], connect: Connect
) -> None:
    client = connect(control_plane.address)
    client.ask()
    client.ack(client.receive())
    control_plane.wait_for(lambda counts: counts.acks == 1)
    control_plane.world.add(Dataplane("backend-01"))
    control_plane.world.add(Dataplane("web-01"))
    assert len(client.receive().resources) == 2
    assert control_plane.counts.responses == 2


def test_it_can_be_made_to_hang(control_plane: SimulatedControlPlane[World], connect: Connect) -> None:
    control_plane.hold()
    client = connect(control_plane.address)
    client.ask()
    control_plane.wait_for(lambda counts: counts.requests == 1)
    for number in range(5):
        control_plane.world.add(Dataplane(f"web-{number}"))
    control_plane.release()
    assert client.receive().nonce == "1"


def test_it_can_be_made_to_refuse_streams(control_plane: SimulatedControlPlane[World], connect: Connect) -> None:
    control_plane.refuse(grpc.StatusCode.PERMISSION_DENIED, "not you")
    client = connect(control_plane.address)
    client.ask()
    with pytest.raises(grpc.RpcError) as error:
        client.receive()
    assert (error.value.code(), error.value.details()) == (grpc.StatusCode.PERMISSION_DENIED, "not you")
    control_plane.refuse(None)
    client = connect(control_plane.address)
    client.ask()
    assert client.receive().nonce == "1"
    assert control_plane.counts.streams == 2


def test_it_can_be_made_to_end_streams(control_plane: SimulatedControlPlane[World], connect: Connect) -> None:
    client = connect(control_plane.address)
    client.ask()
    client.receive()
    assert control_plane.end_streams(grpc.StatusCode.RESOURCE_EXHAUSTED, "too much") == 1
    with pytest.raises(grpc.RpcError) as error:
        client.receive()
    assert (error.value.code(), error.value.details()) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "too much")
    control_plane.wait_for(lambda counts: counts.open == 0)
    assert control_plane.end_streams() == 0


def test_it_can_be_made_to_send_anything(control_plane: SimulatedControlPlane[World], connect: Connect) -> None:
    client = connect(control_plane.address)
    client.ask()
    first = client.receive()
    assert control_plane.send(b"\xff\xff") == 1
    assert client.raw() == b"\xff\xff"
    control_plane.send(DiscoveryResponse(nonce="odd").SerializeToString())
    assert client.receive().nonce == "odd"
    client.ack(first)
    control_plane.world.clear()
    assert client.receive().nonce == "2"


def test_waiting_in_vain_says_what_there_was(control_plane: SimulatedControlPlane[World]) -> None:
    with pytest.raises(TimeoutError, match=r"not so within 0.01 s; there were TrafficCounts\(streams=0"):
        control_plane.wait_for(lambda counts: counts.streams > 0, timeout=0.01)


def test_nothing_is_left_running_after_it(connect: Connect) -> None:
    with SimulatedControlPlane(World(), refresh=60) as control_plane:
        client = connect(control_plane.address)
        client.ask()
        client.receive()
        running = [thread for thread in threading.enumerate() if thread.name.startswith("simulator")]
        assert len(running) >= 3
    for thread in running:
        thread.join(5)
        assert not thread.is_alive()
