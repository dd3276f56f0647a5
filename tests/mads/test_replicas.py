import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from byte_server import byte_server, read_request
from mads_streams import mads_streams, once, silent
from waiting import eventually

from kuma_sd import SourceError
from kuma_sd.mads import first_answer_timeout
from kuma_sd.mads import replicas as failover_module
from kuma_sd.mads.codecs.v1 import TYPE_URL
from kuma_sd.mads.first_answer_timeout import FIRST, LONGEST, Patience
from kuma_sd.mads.plugin import MadsOptions
from kuma_sd.mads.source import MadsSource
from kuma_sd.simulator import SimulatedControlPlane, World
from kuma_sd.simulator.port_mux import relay
from kuma_sd.testing import control_plane


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failover_module, "HEAD_START", 0.3)
    monkeypatch.setattr(failover_module, "RETRY_SECONDS", 0.3)
    monkeypatch.setattr(first_answer_timeout, "FIRST", 3.0)


@pytest.fixture
def kuma() -> Iterator[SimulatedControlPlane[World]]:
    with control_plane("a") as running:
        yield running


@contextlib.contextmanager
def silent_server() -> Iterator[str]:
    """Run a server that takes everything and never says a word."""

    def talk(peer: socket.socket) -> None:
        while peer.recv(65536):
            pass

    with byte_server(talk) as server:
        yield server.address


def refusing() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"127.0.0.1:{free.getsockname()[1]}"


def source(*replicas: str, **options: Any) -> MadsSource:
    return MadsSource(f"grpc://{','.join(replicas)}", MadsOptions(**options), "")


@pytest.mark.parametrize("transport", ["auto", "grpc", "http"])
def test_a_replica_that_is_silent_does_not_hold_up_the_next(kuma: SimulatedControlPlane[World], transport: str) -> None:
    with silent_server() as silent:
        one = source(silent, kuma.address, transport=transport)
        began = time.monotonic()
        snapshot = next(iter(one))
        assert time.monotonic() - began < 2.5, "less than the silent one may take for its first answer"
    assert [assignment.key.name for assignment in snapshot.assignments] == ["a"]
    assert one.status.endpoint == kuma.address


def test_a_replica_that_refuses_gives_way_to_the_next_at_once(
    kuma: SimulatedControlPlane[World], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failover_module, "HEAD_START", 1000.0)
    assert next(iter(source(refusing(), kuma.address))).assignments


def test_a_replica_that_comes_back_while_another_is_silent_is_found(kuma: SimulatedControlPlane[World]) -> None:
    kuma.hold()
    kuma.close()
    with silent_server() as silent:
        one = source(silent, kuma.address)
        kuma.release()

        def start(*_: object) -> None:
            kuma.start()

        threading.Timer(1.0, start).start()
        assert next(iter(one)).assignments


def test_when_all_replicas_fail_each_is_named() -> None:
    first, second = refusing(), refusing()
    with pytest.raises(SourceError) as error:
        next(iter(source(first, second)))
    assert first in str(error.value)
    assert second in str(error.value)


def test_the_next_connection_begins_with_the_next_replica(kuma: SimulatedControlPlane[World]) -> None:
    with control_plane("a") as other:
        one = source(kuma.address, other.address)
        endpoints = []
        for _ in range(3):
            snapshots = iter(one)
            next(snapshots)
            endpoints.append(one.status.endpoint)
            del snapshots
    assert endpoints == [kuma.address, other.address, kuma.address]


def test_closing_ends_the_wait_for_a_silent_replica_at_once() -> None:
    with silent_server() as silent:
        one = source(silent)
        threading.Timer(0.2, one.close).start()
        began = time.monotonic()
        with pytest.raises(SourceError, match="closed"):
            next(iter(one))
        assert time.monotonic() - began < 2


def test_the_status_says_for_how_long_the_first_answer_is_awaited() -> None:
    with silent_server() as silent:
        one = source(silent, transport="http")
        assert one.status.silence(time.monotonic()) == 0
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(next, iter(one))
            eventually(lambda: one.status.silence(time.monotonic()) > 1, "it tells for how long it has waited")
            assert not waiting.done()
            with pytest.raises(SourceError, match="no answer within 3s"):
                waiting.result()
        assert one.status.silence(time.monotonic()) == 0
        assert one.status.age(time.monotonic()) is None


def test_after_a_fall_to_http_because_of_silence_the_next_connection_begins_with_grpc_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(first_answer_timeout, "FIRST", 1.0)
    begun: list[str] = []
    body = json.dumps({"version_info": "1", "type_url": TYPE_URL}).encode()

    with mads_streams(silent) as locked_up, mads_streams(once) as well:

        def talk(peer: socket.socket) -> None:
            is_http = peer.recv(3, socket.MSG_PEEK) == b"POS"
            begun.append("http" if is_http else "grpc")
            if is_http:
                while read_request(peer):
                    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            else:
                host, port = (well if "http" in begun else locked_up).split(":")
                with socket.create_connection((host, int(port))) as other:
                    relay(peer, other)

        with byte_server(talk) as server:
            one = source(server.address)
            protocols = []
            for _ in range(2):
                next(iter(one))
                protocols.append((one.status.protocol, one.status.why))
    assert protocols == [("v1 HTTP", "gRPC fails: no answer within 1s"), ("v1 gRPC", "")]
    assert begun == ["grpc", "http", "grpc"]


def test_each_silent_attempt_doubles_the_time_for_the_next_and_an_answer_ends_that(
    kuma: SimulatedControlPlane[World], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_answer_timeout, "FIRST", 0.2)
    kuma.hold()
    one = source(kuma.address)
    for seconds in ("200ms", "400ms", "800ms"):
        with pytest.raises(SourceError, match=f"no answer within {seconds}"):
            next(iter(one))
    kuma.release()
    next(iter(one))
    [patience] = one._patience.values()
    assert patience.seconds == 0.2


def test_a_first_answer_is_awaited_for_ten_seconds_to_five_minutes() -> None:
    assert (FIRST, LONGEST) == (10.0, 300.0)
    patience = Patience()
    for _ in range(20):
        patience.was_in_vain()
    assert patience.seconds == 300.0
