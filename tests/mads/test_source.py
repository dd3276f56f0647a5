import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from os_reasons import CONNECTION_REFUSED
from resources import packed

from kuma_sd import Snapshot, SourceError
from kuma_sd.mads.codecs.v1 import TYPE_URL
from kuma_sd.mads.plugin import MadsOptions
from kuma_sd.mads.source import MadsSource
from kuma_sd.proto.discovery_pb2 import ReceivedResponse
from kuma_sd.proto.mads_v1_pb2 import MonitoringAssignment
from kuma_sd.simulator import Dataplane, SimulatedControlPlane, World
from kuma_sd.testing import control_plane


def names(snapshot: Snapshot) -> list[str]:
    return [assignment.key.name for assignment in snapshot.assignments]


@pytest.fixture
def kuma() -> Iterator[SimulatedControlPlane[World]]:
    with control_plane("a", "b") as running:
        yield running


def source(kuma: SimulatedControlPlane[World], **options: object) -> MadsSource:
    return MadsSource(kuma.url, MadsOptions(**options), "")  # type: ignore[arg-type]


def test_each_change_of_the_control_plane_is_a_snapshot(kuma: SimulatedControlPlane[World]) -> None:
    snapshots = iter(source(kuma))
    assert names(next(snapshots)) == ["a", "b"]
    kuma.world.add(Dataplane("c"))
    assert names(next(snapshots)) == ["a", "b", "c"]
    kuma.world.remove("a")
    assert names(next(snapshots)) == ["b", "c"]


def test_every_request_has_the_node_and_each_response_is_acknowledged_once(kuma: SimulatedControlPlane[World]) -> None:
    snapshots = iter(source(kuma, name="monitoring-1"))
    next(snapshots)
    kuma.world.add(Dataplane("c"))
    next(snapshots)
    assert kuma.counts.acks == 1
    first, ack = kuma.requests
    assert (first.version_info, first.response_nonce) == ("", "")
    assert ack.version_info
    assert ack.response_nonce == "1"
    assert {request.node.id for request in (first, ack)} == {"monitoring-1"}
    assert {request.type_url for request in (first, ack)} == {
        "type.googleapis.com/kuma.observability.v1.MonitoringAssignment"
    }


def test_closing_from_another_thread_ends_a_wait_at_once(kuma: SimulatedControlPlane[World]) -> None:
    one = source(kuma)
    waiting = threading.Event()
    ended: list[str] = []

    def read() -> None:
        try:
            for _ in one:
                waiting.set()
        except SourceError as error:
            ended.append(str(error))

    reader = threading.Thread(target=read)
    reader.start()
    assert waiting.wait(10)
    one.close()
    reader.join(0.5)
    assert not reader.is_alive()


def test_closing_before_it_connects_ends_it_too(kuma: SimulatedControlPlane[World]) -> None:
    one = source(kuma)
    one.close()
    with pytest.raises(SourceError, match="closed"):
        next(iter(one))


def test_a_reconnect_decodes_nothing_that_did_not_change(kuma: SimulatedControlPlane[World]) -> None:
    kuma.world.replace(Dataplane(f"backend-{number}") for number in range(1000))
    one = source(kuma)
    first = next(iter(one))
    decoded = one._decoder.decoded
    assert decoded >= 1000
    kuma.close()
    kuma.start()
    kuma.world.remove("backend-500")
    kuma.world.add(Dataplane("backend-500", address="192.0.2.77:5670"))
    snapshots = iter(one)
    second = next(snapshots)
    while second.assignments == first.assignments or len(second.assignments) < 1000:
        second = next(snapshots)
    assert one._decoder.decoded == decoded + 1


def test_the_status_tells_what_is_spoken_and_when_contact_was_lost(kuma: SimulatedControlPlane[World]) -> None:
    one = source(kuma)
    assert one.status.last_response is None
    snapshots = iter(one)
    snapshot = next(snapshots)
    assert one.status.connected
    assert one.status.protocol == "v1 gRPC"
    assert one.status.last_response == snapshot.received
    kuma.end_streams()
    with pytest.raises(SourceError):
        next(snapshots)
    assert not one.status.connected
    assert one.status.last_response is not None
    assert one.status.last_response >= snapshot.received


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_the_status_counts_answers_and_bytes_over_all_connections(
    kuma: SimulatedControlPlane[World], transport: str
) -> None:
    one = source(kuma, transport=transport)
    for connection in range(1, 3):
        snapshots = iter(one)
        snapshot = next(snapshots)
        assert one.status.responses == connection
        assert one.status.since == snapshot.received
        received = one.status.received
        assert received >= connection * sum(len(each.data) for each in snapshot.assignments)
        del snapshots  # the generator closes its connection
        assert one.status.since is None
        assert one.status.received == received


def test_a_control_plane_that_is_down_is_said(kuma: SimulatedControlPlane[World]) -> None:
    kuma.close()
    with pytest.raises(SourceError, match=rf"v1 HTTP at 127\.0\.0\.1:\d+: {CONNECTION_REFUSED}"):
        next(iter(source(kuma)))


def test_a_peer_that_speaks_something_else_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=greet_as_smtp, args=(server,), daemon=True).start()
        address = f"grpc://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(SourceError, match="it does not speak HTTP"):
            next(iter(MadsSource(address, MadsOptions(), "")))


def greet_as_smtp(server: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            peer, _ = server.accept()
            with peer:
                peer.sendall(b"220 mail.example.org ESMTP\r\n")
                peer.recv(1000)


def test_an_error_of_the_stream_is_said(kuma: SimulatedControlPlane[World]) -> None:
    kuma.refuse(grpc.StatusCode.UNIMPLEMENTED, "unknown service")
    with pytest.raises(SourceError, match=r"it does not speak MADS v1alpha1 over gRPC; v1 HTTP .*: HTTP status 503"):
        next(iter(source(kuma)))


def test_bytes_that_are_no_response_are_said(kuma: SimulatedControlPlane[World]) -> None:
    one = source(kuma)
    snapshots = iter(one)
    next(snapshots)
    kuma.send(b"\xff\xff")
    with pytest.raises(SourceError, match="its answer is no DiscoveryResponse"):
        next(snapshots)
    assert one.status.parse_errors == 1


def test_a_response_larger_than_the_limit_is_said(kuma: SimulatedControlPlane[World]) -> None:
    kuma.world.replace(Dataplane(f"backend-{number}") for number in range(100))
    with pytest.raises(SourceError, match=r"the response is larger than max-message-size \(4KiB\), raise it"):
        next(iter(source(kuma, max_message_size=4096)))


def test_what_cannot_be_understood_makes_a_snapshot_incomplete(kuma: SimulatedControlPlane[World]) -> None:
    source_ = source(kuma)
    snapshots = iter(source_)
    first = next(snapshots)
    foreign = packed(MonitoringAssignment(), "type.googleapis.com/other")
    response = ReceivedResponse(
        version_info="x",
        nonce="9",
        type_url=TYPE_URL,
        resources=[*(assignment.data for assignment in first.assignments), foreign],
    )
    kuma.send(response.SerializeToString())
    second = next(snapshots)
    assert second.assignments == first.assignments
    assert not second.complete
    assert (source_.status.unparsed, source_.status.parse_errors) == (1, 1)
    kuma.send(response.SerializeToString())
    next(snapshots)
    assert (source_.status.unparsed, source_.status.parse_errors) == (1, 1), "the same again is no new error"
    kuma.world.add(Dataplane("c"))
    next(snapshots)
    assert (source_.status.unparsed, source_.status.parse_errors) == (0, 1)


def test_a_changed_token_or_certificate_renews_the_connection(
    kuma: SimulatedControlPlane[World], tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    one = source(kuma, bearer_token_file=str(token))
    snapshots = iter(one)
    next(snapshots)
    token.write_text("new")
    with pytest.raises(SourceError):
        next(snapshots)
    next(iter(one))
    assert kuma.counts.streams == 2
    one.close()
