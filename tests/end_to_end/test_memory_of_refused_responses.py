"""Responses that are refused again and again leave nothing in memory, whatever is wrong with them."""

import contextlib
import gc
import json
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from byte_server import byte_server, read_request
from mads_streams import mads_streams
from waiting import eventually

from kuma_sd import Context, Source, SourceError, parse_url
from kuma_sd.mads.codecs.v1 import TYPE_URL
from kuma_sd.mads.plugin import MadsOptions
from kuma_sd.mads.source import MadsSource
from kuma_sd.pipeline import source_worker
from kuma_sd.pipeline.backoff import Backoff
from kuma_sd.pipeline.source_worker import SourceWorker
from kuma_sd.proto.discovery_pb2 import DiscoveryResponse
from kuma_sd_bundled.kuma_api.options import ApiOptions
from kuma_sd_bundled.kuma_api.source import ApiSource

LIMIT = 2**21
"""max-message-size, in bytes."""

ROUNDS = 10
"""Number of refused responses between two measurements."""

MOST_GROWTH = 3 * LIMIT
"""One response may be arriving at either measurement, in a buffer that grows ahead."""

FILLING = b" " * 2**16

OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Switch off what would free cycles now and then: the daemon collects so rarely that each must not matter."""
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()
        gc.enable()


def mads(scheme: str, address: str) -> Source:
    return MadsSource(f"{scheme}://{address}", MadsOptions(max_message_size=LIMIT, transport=scheme), "east")


def api(address: str) -> Source:
    options = ApiOptions(max_message_size=LIMIT, api_interval=0.01)
    return ApiSource(options, Context("east", address=parse_url(f"kuma-api+http://{address}")))


def grown(source: Source, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return by how many bytes memory grows while so many responses are refused."""
    monkeypatch.setattr(source_worker, "Backoff", partial(Backoff, 0.01, 0.01))
    worker = SourceWorker("east", "east", source, lambda _: None)
    running = threading.Thread(target=worker.run)
    running.start()
    try:
        sizes = []
        for attempts in (ROUNDS, 2 * ROUNDS):
            eventually(lambda attempts=attempts: worker.status.attempts > attempts, "responses are refused")  # type: ignore[misc]
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        worker.close()
        running.join(30)
    assert worker.status.failing
    return sizes[1] - sizes[0]


def endless(peer: bytes) -> Iterator[bytes]:
    """Yield a body without an end."""
    del peer
    yield OK + b"\r\n" + b'{"version_info":"x","resources":['
    while True:
        yield FILLING


def with_length(body: bytes) -> bytes:
    return OK + b"Content-Length: %d\r\n\r\n" % len(body) + body


LARGE = b"x" * (LIMIT - 1000)

UNREADABLE = {"version_info": "1", "type_url": TYPE_URL, "resources": [{"@type": TYPE_URL, "mesh": "x" * (LIMIT // 2)}]}
UNREADABLE["resources"][0]["mesh"] = [UNREADABLE["resources"][0]["mesh"]]  # type: ignore[index]

ANSWERS: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "a body without an end": endless,
    "a length beyond the limit": lambda _: iter([OK + b"Content-Length: %d\r\n\r\n" % (2 * LIMIT), LARGE]),
    "a body that is no JSON": lambda _: iter([with_length(LARGE)]),
    "a body of another kind": lambda _: iter([with_length(b'{"a":"%b"}' % LARGE)]),
    "resources that are none": lambda _: iter([with_length(json.dumps(UNREADABLE).encode())]),
    "a body that is cut": lambda _: iter([OK + b"Content-Length: %d\r\n\r\n" % (LIMIT - 1), LARGE]),
    "an error with a page": lambda _: iter([with_length(LARGE).replace(b"200 OK", b"500 No")]),
}


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("source", [partial(mads, "http"), api], ids=["MADS", "API"])
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_refused_responses_over_http_leave_nothing_in_memory(
    answer: Callable[[bytes], Iterator[bytes]], source: Callable[[str], Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    def talk(peer: socket.socket) -> None:
        # The client tries TLS when a connection breaks, and waits for an answer to that.
        if peer.recv(1, socket.MSG_PEEK) != b"\x16":
            for piece in answer(read_request(peer)):
                peer.sendall(piece)

    with byte_server(talk) as server:
        assert grown(source(server.address), monkeypatch) < MOST_GROWTH


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(bytes(2 * LIMIT), id="larger than the limit"),
        pytest.param(b"\xff" * (LIMIT - 1), id="no protobuf"),
        pytest.param(DiscoveryResponse(version_info="1", nonce="x" * (LIMIT // 2)).SerializeToString(), id="foreign"),
    ],
)
def test_refused_responses_over_grpc_leave_nothing_in_memory(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with mads_streams(lambda _requests, _context: iter([answer])) as address:
        assert grown(mads("grpc", address), monkeypatch) < MOST_GROWTH


@pytest.mark.usefixtures("no_collector")
def test_a_response_that_is_read_is_in_memory_once() -> None:
    answer = with_length(LARGE)
    with byte_server(lambda peer: peer.sendall(answer) if read_request(peer) else None) as server:
        source = mads("http", server.address)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        with contextlib.suppress(SourceError):
            list(source)
        peak = tracemalloc.get_traced_memory()[1] - before
    # A buffer grows by an eighth more than it needs, and a piece of a mebibyte is on its way.
    assert peak < LIMIT + LIMIT // 8 + 2**20 + 2**18
