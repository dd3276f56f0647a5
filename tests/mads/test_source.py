import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from os_reasons import CONNECTION_REFUSED
from resources import packed

from kuma_sd import ConfigError, Snapshot, SourceError, parse_url
from kuma_sd.http.options import HEADER
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
    assert (len(second.unreadable), source_.status.parse_errors) == (1, 1)
    kuma.send(response.SerializeToString())
    assert (len(next(snapshots).unreadable), source_.status.parse_errors) == (1, 1), "the same again is no new error"
    kuma.world.add(Dataplane("c"))
    assert (len(next(snapshots).unreadable), source_.status.parse_errors) == (0, 1)


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


def test_a_poll_that_is_overdue_is_no_contact_and_the_status_says_for_how_long(
    kuma: SimulatedControlPlane[World],
) -> None:
    one = source(kuma, transport="http", fetch_timeout=0.1)
    snapshots = iter(one)
    next(snapshots)
    answered, due = one.status.contact, one.status.due
    assert answered is not None
    assert answered < due < answered + 20
    assert (one.status.age(due - 0.1), one.status.silence(due - 0.1)) == (0, 0)
    assert one.status.age(due + 1) == one.status.silence(due + 1) == due + 1 - answered


def test_a_quiet_stream_is_contact_for_as_long_as_it_is_open(kuma: SimulatedControlPlane[World]) -> None:
    one = source(kuma, transport="grpc")
    snapshots = iter(one)
    next(snapshots)
    assert one.status.age(time.monotonic() + 10_000) == 0
    kuma.end_streams()
    with pytest.raises(SourceError):
        next(snapshots)
    age = one.status.age(time.monotonic())
    assert age is not None
    assert 0 <= age < 5, "it counts from when the stream broke"


def test_polls_that_are_answered_by_nothing_new_are_contact(kuma: SimulatedControlPlane[World]) -> None:
    one = source(kuma, transport="http", fetch_timeout=0.1)
    snapshots = iter(one)
    next(snapshots)
    first = one.status.contact

    def follow() -> None:
        with contextlib.suppress(SourceError):
            list(snapshots)

    follower = threading.Thread(target=follow)
    follower.start()
    kuma.wait_for(lambda counts: counts.unchanged >= 2)
    contact = one.status.contact
    one.close()
    follower.join(10)
    assert first is not None
    assert contact is not None
    assert contact > first


def test_what_cannot_be_read_is_known_by_the_same_digest_over_time(kuma: SimulatedControlPlane[World]) -> None:
    snapshots = iter(source(kuma))
    first = next(snapshots)
    broken = packed(MonitoringAssignment(), "type.googleapis.com/other")
    resources = [*(assignment.data for assignment in first.assignments), broken]
    seen = []
    for version in "xy":
        response = ReceivedResponse(version_info=version, nonce="9", type_url=TYPE_URL, resources=resources)
        kuma.send(response.SerializeToString())
        seen.append(next(snapshots).unreadable)
    assert len(seen[0]) == 1
    assert seen[0] == seen[1]


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_an_empty_list_has_a_note_that_names_the_client(transport: str) -> None:
    with control_plane() as empty:
        one = source(empty, transport=transport, name="monitoring-1")
        snapshots = iter(one)
        next(snapshots)
        assert "names the client 'monitoring-1'" in one.status.note
        empty.world.add(Dataplane("a"))
        next(snapshots)
        assert one.status.note == ""


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"tls_cert_file": "x"}, "tls-cert-file and tls-key-file"),
        ({"transport": "grpc", "tls_insecure_skip_verify": True}, "tls-insecure-skip-verify works over HTTP only"),
        ({"transport": "grpc", "header": (HEADER.parse("X-Bin: x"),)}, "the header X-Bin works over HTTP only"),
        ({"transport": "grpc", "header": (HEADER.parse("X!: x"),)}, "the header X! works over HTTP only"),
        ({"transport": "grpc", "proxy": parse_url("https://proxy")}, "a proxy with TLS works over HTTP only"),
        ({"proxy": parse_url("socks5://proxy")}, "is no HTTP proxy"),
        ({"api_version": "v1alpha1", "transport": "http"}, "over gRPC only"),
    ],
)
def test_options_that_do_not_fit_are_refused_before_anything_is_connected(
    options: dict[str, object], reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason):
        MadsSource("https://kuma.invalid", MadsOptions(**options), "")  # type: ignore[arg-type]


def test_a_proxy_of_the_environment_that_cannot_be_used_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "socks5://proxy:1080")
    with pytest.raises(ConfigError, match="the environment's https_proxy"):
        MadsSource("https://kuma.invalid", MadsOptions(), "")
    MadsSource("http://kuma.invalid", MadsOptions(), "")


def test_a_header_that_grpc_cannot_carry_goes_over_http(kuma: SimulatedControlPlane[World]) -> None:
    one = source(kuma, header=(HEADER.parse("X-Bin: AAEC"),))
    next(iter(one))
    assert one.status.protocol == "v1 HTTP"
