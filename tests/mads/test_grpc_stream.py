import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc
import grpc._common
import pytest
from mads_streams import mads_streams, once, response, silent

from kuma_sd import Access, SourceError, parse_address
from kuma_sd.http.errors import SilentError, TooLargeError
from kuma_sd.http.options import HEADER
from kuma_sd.mads import grpc_stream
from kuma_sd.mads.errors import ForeignError
from kuma_sd.mads.grpc_stream import V1, GrpcStream
from kuma_sd.mads.plugin import MadsOptions
from kuma_sd.proto.discovery_pb2 import DiscoveryRequest


def stream(address: str, patience: float = 10.0, **options: Any) -> GrpcStream:
    configured = MadsOptions(**options)
    return GrpcStream(parse_address(f"grpc://{address}").replicas[0], V1, configured, Access(configured), patience)


def test_a_thread_that_waits_for_grpc_is_woken_by_what_it_waits_for_alone() -> None:
    assert grpc_stream
    waits: list[float] = []

    def wait(timeout: float) -> bool:
        waits.append(timeout)
        return True

    grpc._common.wait(wait, lambda: bool(waits))
    assert waits == [3600.0], "this grpc takes its longest wait from elsewhere: look again at what an idle daemon does"


def test_a_server_that_takes_the_stream_and_never_answers_is_given_up() -> None:
    with mads_streams(silent) as address:
        began = time.monotonic()
        with pytest.raises(SilentError, match="no answer within 300ms"):
            next(iter(stream(address, patience=0.3)))
        assert time.monotonic() - began < 5


def test_a_stream_that_is_silent_for_long_is_replaced_over_the_same_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpc_stream, "QUIET_SECONDS", 0.2)
    peers: list[str] = []

    def answer(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        peers.append(context.peer())
        yield from once(requests, context)

    with mads_streams(answer) as address:
        responses = iter(stream(address))
        for _ in range(3):
            next(responses)
    assert len(peers) == 3
    assert len(set(peers)) == 1


def test_a_server_that_locks_up_while_a_stream_is_quiet_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpc_stream, "QUIET_SECONDS", 0.2)
    streams: list[int] = []

    def answer(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        streams.append(1)
        yield from once(requests, context) if len(streams) == 1 else silent(requests, context)

    with mads_streams(answer) as address:
        responses = iter(stream(address, patience=0.3))
        next(responses)
        with pytest.raises(SilentError):
            next(responses)


def test_a_stream_that_changes_now_and_then_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpc_stream, "QUIET_SECONDS", 1.0)
    streams: list[int] = []

    def answer(requests: Iterator[bytes], _context: grpc.ServicerContext) -> Iterator[bytes]:
        streams.append(1)
        for number, _ in enumerate(requests):
            time.sleep(0.1)
            yield response(str(number + 1))

    with mads_streams(answer) as address:
        one = stream(address)
        responses = iter(one)
        for _ in range(15):
            next(responses)
        one.close()
    assert streams == [1]


@pytest.mark.parametrize(
    ("foreign", "reason"),
    [
        (response(type_url=""), "it has no type_url"),
        (response(type_url="type.googleapis.com/envoy.config.cluster.v3.Cluster"), "its type_url is '.*Cluster'"),
        (response(version=""), "it has no version_info"),
        (b"", "it has no type_url"),
    ],
)
def test_an_answer_that_is_not_one_of_mads_fails_the_connection(foreign: bytes, reason: str) -> None:
    with (
        mads_streams(lambda _requests, _context: iter([foreign])) as address,
        pytest.raises(ForeignError, match=rf"its answer is no MADS response \({reason}\)"),
    ):
        next(iter(stream(address)))


def test_a_server_that_is_exhausted_is_not_taken_for_our_limit() -> None:
    def answer(_requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "received message larger than max (5000 vs. 4096)")
        yield b""

    with mads_streams(answer) as address, pytest.raises(SourceError) as error:
        next(iter(stream(address)))
    assert not isinstance(error.value, TooLargeError)
    assert str(error.value) == "gRPC status resource exhausted"


@pytest.mark.parametrize("limit", [2**31, 2**40])
def test_a_limit_beyond_what_grpc_takes_is_its_largest(limit: int) -> None:
    with mads_streams(once) as address:
        next(iter(stream(address, max_message_size=limit)))


def test_headers_go_along_as_metadata() -> None:
    seen: list[dict[str, str | bytes]] = []

    def answer(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        seen.append(dict(context.invocation_metadata()))
        yield from once(requests, context)

    with mads_streams(answer) as address:
        next(iter(stream(address, header=(HEADER.parse("X-Tenant: monitoring"),))))
    assert seen[0]["x-tenant"] == "monitoring"


def test_closing_while_the_first_answer_is_awaited_says_so_at_once() -> None:
    with mads_streams(silent) as address:
        one = stream(address, patience=60.0)
        threading.Timer(0.2, one.close).start()
        with pytest.raises(SourceError, match="the connection was closed"):
            next(iter(one))


def test_a_response_is_acknowledged_before_it_is_decoded_since_that_frees_its_bytes() -> None:
    acknowledged = threading.Event()

    def answer(requests: Iterator[bytes], _context: grpc.ServicerContext) -> Iterator[bytes]:
        next(requests)
        yield response()
        for _ in requests:
            acknowledged.set()

    with mads_streams(answer) as address:
        responses = iter(stream(address))
        received = next(responses)
        assert received
        assert acknowledged.wait(10)


def test_each_response_is_acknowledged_with_its_own_nonce() -> None:
    asked: list[tuple[str, str]] = []

    def answer(requests: Iterator[bytes], _context: grpc.ServicerContext) -> Iterator[bytes]:
        for request in requests:
            parsed = DiscoveryRequest.FromString(request)
            asked.append((parsed.version_info, parsed.response_nonce))
            yield response("7")

    with mads_streams(answer) as address:
        responses = iter(stream(address))
        next(responses)
        next(responses)
    assert asked[:2] == [("", ""), ("7", "1")]
