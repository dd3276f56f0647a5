"""MADS v1 over HTTP, seen by a bare client."""

import http.client
import json
import re
import socket
import time
from collections.abc import Iterator

import grpc
import pytest
from raw_http import PATH, TYPE_URL, HttpConnection, Waiting

from kuma_sd.simulator import Dataplane, SimulatedControlPlane, World, kuma


@pytest.fixture
def control_plane() -> Iterator[SimulatedControlPlane[World]]:
    with running() as one:
        yield one


@pytest.fixture
def client(control_plane: SimulatedControlPlane[World]) -> Iterator[HttpConnection]:
    connection = HttpConnection(control_plane.address)
    yield connection
    connection.close()


def running(version: str = "2.14.3") -> SimulatedControlPlane[World]:
    return SimulatedControlPlane(World([Dataplane("a"), Dataplane("b")]), refresh=0, line=kuma(version))


def test_a_first_poll_is_answered_at_once_with_everything(client: HttpConnection) -> None:
    reply = client.poll(timeout="30s")
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert reply.names == ["a", "b"]
    assert reply.json["type_url"] == TYPE_URL
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", reply.json["version_info"])


def test_an_empty_set_has_no_resources(control_plane: SimulatedControlPlane[World], client: HttpConnection) -> None:
    control_plane.world.clear()
    reply = client.poll()
    assert list(reply.json) == ["version_info", "type_url"]
    assert reply.headers["Content-Length"] == str(len(reply.body))


def test_the_present_version_is_304_without_a_body_after_the_timeout(client: HttpConnection) -> None:
    version = client.poll().json["version_info"]
    started = time.monotonic()
    reply = client.poll(version, "200ms")
    assert 0.2 <= time.monotonic() - started < 1
    assert (reply.status, reply.body) == (304, b"")
    assert set(reply.headers) == {"Date"}


@pytest.mark.parametrize("timeout", ["0", "0s", "-1s"])
def test_without_a_timeout_304_comes_at_once(client: HttpConnection, timeout: str) -> None:
    version = client.poll().json["version_info"]
    started = time.monotonic()
    assert client.poll(version, timeout).status == 304
    assert time.monotonic() - started < 0.2


def test_a_change_ends_the_wait(control_plane: SimulatedControlPlane[World], client: HttpConnection) -> None:
    waiting = Waiting(control_plane.address, client.poll().json["version_info"], timeout="")
    control_plane.wait_for(lambda counts: counts.requests == 2)
    control_plane.world.add(Dataplane("c"))
    assert waiting.reply().names == ["a", "b", "c"]


def test_an_unknown_version_is_answered_at_once(client: HttpConnection) -> None:
    assert client.poll("1", "30s").status == 200


def test_the_connection_is_kept_alive(control_plane: SimulatedControlPlane[World], client: HttpConnection) -> None:
    client.poll()
    wire = client.connection.sock
    client.poll()
    client.send("GET", "/nowhere")
    assert client.connection.sock is wire
    assert control_plane.counts.connections == 1


def test_a_large_answer_is_chunked(control_plane: SimulatedControlPlane[World], client: HttpConnection) -> None:
    control_plane.world.replace(Dataplane(f"backend-{number}") for number in range(1234))
    reply = client.poll()
    assert reply.headers["Transfer-Encoding"] == "chunked"
    assert len(reply.names) == 1234


@pytest.mark.parametrize(
    ("method", "path", "content_type", "status"),
    [
        ("GET", PATH, "application/json", 405),
        ("PUT", PATH, "application/json", 405),
        ("POST", "/v3/discovery:monitoringassignment", "application/json", 404),
        ("GET", "/", "application/json", 404),
        ("GET", "/catalog", "application/json", 404),
        ("POST", PATH, "text/plain", 415),
        ("POST", PATH, "", 415),
    ],
)
def test_other_requests_are_refused(
    client: HttpConnection, method: str, path: str, content_type: str, status: int
) -> None:
    headers = {"Content_Type": content_type} if content_type else {}
    assert client.send(method, path, b"{}", **headers).status == status
    assert client.poll().status == 200


def test_only_json_can_be_had(client: HttpConnection) -> None:
    headers = {"Content_Type": "application/json", "Accept": "text/html"}
    assert client.send("POST", PATH, b"{}", **headers).status == 406


@pytest.mark.parametrize(
    "body", [b"", b"no json", b"[]", b'{"resource_locators":[]}', b'{"node":{"id":1}}', b"\xff", b'{"version_info":']
)
def test_a_bad_body_is_400(client: HttpConnection, body: bytes) -> None:
    reply = client.send("POST", PATH, body, Content_Type="application/json")
    assert reply.status == 400
    assert reply.json["title"] == "Could not parse request body"


def test_both_spellings_are_understood(client: HttpConnection) -> None:
    version = client.poll().json["version_info"]
    body = json.dumps({"versionInfo": version, "node": {"id": ""}, "typeUrl": "anything"}).encode()
    headers = {"Content_Type": "application/json; charset=utf-8"}
    assert client.send("POST", f"{PATH}?fetch-timeout=0", body, **headers).status == 304


HEAD = f"POST {PATH}?fetch-timeout=0 HTTP/1.1\r\nHost: kuma\r\nContent-Type: application/json\r\n"


def sent(control_plane: SimulatedControlPlane[World], headers: str, body: bytes) -> bytes:
    """Send one request as it is, and a second one behind it; returns both answers."""
    host, _, port = control_plane.address.partition(":")
    with socket.create_connection((host, int(port)), timeout=5) as wire:
        wire.sendall((HEAD + headers + "\r\n").encode() + body)
        wire.sendall(b"GET / HTTP/1.1\r\nHost: kuma\r\nConnection: close\r\n\r\n")
        return b"".join(iter(lambda: wire.recv(65536), b""))


BODY = b'{"node":{"id":"vmagent"}}'
HALVES = b"A\r\n%b\r\n%x\r\n%b\r\n" % (BODY[:10], len(BODY) - 10, BODY[10:])


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ("Transfer-Encoding: chunked\r\n", HALVES + b"0\r\n\r\n"),
        ("Transfer-Encoding: Chunked\r\n", HALVES.replace(b"A\r", b"a;name=value\r", 1) + b"0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\nTrailer: A\r\n", HALVES + b"000\r\nA: b\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", HALVES + b"0\r\n\r\n"),
        (f"Content-Length: {len(BODY)}\r\n", BODY),
    ],
)
def test_a_body_is_taken_in_any_form_that_go_takes(
    control_plane: SimulatedControlPlane[World], headers: str, body: bytes
) -> None:
    answers = sent(control_plane, headers, body)
    assert answers.startswith(b"HTTP/1.1 200 ")
    assert b'"resources"' in answers
    assert answers.count(b"HTTP/1.1 ") == 2, "the next request is found"
    assert control_plane.requests[-1].node.id == "vmagent"


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ("Transfer-Encoding: chunked\r\n", b"x\r\n", 400),
        ("Transfer-Encoding: chunked\r\n", b"-1\r\n", 400),
        ("Transfer-Encoding: chunked\r\n", b"2\r\n{}x\r\n", 400),
        ("Transfer-Encoding: gzip\r\n", b"", 501),
        ("Content-Length: two\r\n", b"", 400),
    ],
)
def test_a_body_without_a_known_end_ends_the_connection(
    control_plane: SimulatedControlPlane[World], headers: str, body: bytes, status: int
) -> None:
    host, _, port = control_plane.address.partition(":")
    with socket.create_connection((host, int(port)), timeout=5) as wire:
        wire.sendall((HEAD + headers + "\r\n").encode() + body)
        answer = b"".join(iter(lambda: wire.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize("timeout", ["30", "not-a-timeout", "1d"])
def test_a_bad_fetch_timeout_is_400(client: HttpConnection, timeout: str) -> None:
    reply = client.poll(timeout=timeout)
    assert (reply.status, reply.json["title"]) == (400, "Could not parse fetch-timeout")


@pytest.mark.parametrize(
    ("version", "served"), [("2.5.11", True), ("2.6.15", False), ("2.11.18", False), ("2.12.3", True)]
)
def test_without_a_node_some_break_the_connection(version: str, served: bool) -> None:  # noqa: FBT001 (a fact)
    with running(version) as control_plane:
        client = HttpConnection(control_plane.address)
        if served:
            assert client.poll(node=None).status == 200
        else:
            with pytest.raises(http.client.RemoteDisconnected):
                client.poll(node=None)
        client.close()


def test_each_answer_has_another_order(control_plane: SimulatedControlPlane[World], client: HttpConnection) -> None:
    control_plane.world.replace(Dataplane(f"backend-{number}") for number in range(100))
    assert len({client.poll().body for _ in range(3)}) == 3


def test_a_restart_has_new_versions(control_plane: SimulatedControlPlane[World], client: HttpConnection) -> None:
    version = client.poll().json["version_info"]
    control_plane.close()
    control_plane.start()
    again = HttpConnection(control_plane.address)
    assert again.poll(version, "30s").status == 200
    again.close()


def test_kuma_3_has_no_labels() -> None:
    world = World([Dataplane("a", labels={"env": "prod"})])
    for version, labelled in (("2.14.3", True), ("3.0", False)):
        with SimulatedControlPlane(world, line=kuma(version)) as control_plane:
            client = HttpConnection(control_plane.address)
            assert ("labels" in client.poll().json["resources"][0]["targets"][0]) == labelled
            client.close()


def test_kuma_2_6_wakes_the_first_client_only() -> None:
    with running("2.6.15") as control_plane:
        client = HttpConnection(control_plane.address)
        version = client.poll(node="first").json["version_info"]
        first, second = (Waiting(control_plane.address, version, "1s", node) for node in ("first", "second"))
        control_plane.wait_for(lambda counts: counts.requests == 3)
        control_plane.world.add(Dataplane("c"))
        assert first.reply().names == ["a", "b", "c"]
        assert second.reply().status == 304
        assert client.poll(version, "1s", "second").names == ["a", "b", "c"]
        client.close()


class TestStrangers:
    """When every MeshMetric names clients, the others get…"""

    def test_everything_before_2_6(self) -> None:
        assert self.ask("2.5.11", "0s") == (200, ["a", "b"])

    def test_an_empty_set_from_2_6(self) -> None:
        assert self.ask("2.6.15", "0s") == (200, [])

    def test_304_in_the_end_or_500_at_once_from_2_7(self) -> None:
        assert self.ask("2.9.13", "100ms") == (304, [])
        assert self.ask("2.9.13", "0s") == (500, [])

    def test_500_in_the_end_from_2_10(self) -> None:
        started = time.monotonic()
        assert self.ask("2.14.3", "200ms") == (500, [])
        assert time.monotonic() - started >= 0.2

    def test_and_the_named_ones_get_their_own(self) -> None:
        assert self.ask("2.14.3", "0s", node="named") == (200, ["a", "b"])

    def ask(self, version: str, timeout: str, node: str = "stranger") -> tuple[int, list[str]]:
        with running(version) as control_plane:
            control_plane.serve_only("named")
            client = HttpConnection(control_plane.address)
            reply = client.poll(timeout=timeout, node=node)
            client.close()
        return reply.status, reply.names if reply.status == 200 else []


class TestDisturbed:
    def test_closing_ends_those_that_wait(
        self, control_plane: SimulatedControlPlane[World], client: HttpConnection
    ) -> None:
        waiting = Waiting(control_plane.address, client.poll().json["version_info"], "60s")
        control_plane.wait_for(lambda counts: counts.requests == 2)
        started = time.monotonic()
        control_plane.close()
        assert waiting.ended()
        assert time.monotonic() - started < 0.3
        assert control_plane.counts.connections == 0

    def test_it_can_be_made_to_hang(self, control_plane: SimulatedControlPlane[World]) -> None:
        control_plane.hold()
        waiting = Waiting(control_plane.address, "", "0s")
        control_plane.wait_for(lambda counts: counts.requests == 1)
        assert not waiting.ended(0.1)
        control_plane.release()
        assert waiting.reply().status == 200

    def test_it_can_be_made_to_refuse(
        self, control_plane: SimulatedControlPlane[World], client: HttpConnection
    ) -> None:
        control_plane.refuse(grpc.StatusCode.PERMISSION_DENIED)
        assert client.poll().status == 403
        control_plane.refuse(grpc.StatusCode.UNAVAILABLE)
        assert client.poll().status == 503
        control_plane.refuse(None)
        assert client.poll().status == 200

    def test_answers_are_counted(self, control_plane: SimulatedControlPlane[World], client: HttpConnection) -> None:
        client.poll(client.poll().json["version_info"])
        counts = control_plane.counts
        assert (counts.requests, counts.responses, counts.unchanged, counts.streams) == (2, 1, 1, 0)
        assert [request.node.id for request in control_plane.requests] == ["test", "test"]
