"""No client takes more than its share: real connections that are slow, many, broken or rude."""

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from serving import QUICK, Address, connected, exchange, get, read_all, served
from waiting import eventually

from kuma_sd.web.application import LARGEST_BODY
from kuma_sd.web.paths import Lane
from kuma_sd.web.server.exchange import HANDED_OVER
from kuma_sd.web.server.limits import ConnectionLimits
from kuma_sd.web.server.request_head import LARGEST_HEAD
from kuma_sd.web.server.serving import Serving

LARGE = 2**25
HELLO = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def hello(_environment: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]


def greeting(client: socket.socket) -> bytes:
    answer = b""
    with contextlib.suppress(ConnectionError):
        while not answer.endswith(b"hello") and (piece := client.recv(1000)):
            answer += piece
    return answer


def large(_environment: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", str(LARGE))])
    return [b"x" * LARGE]


def test_a_request_is_answered_and_the_connection_stays_open() -> None:
    with served(hello) as address, connected(address) as client:
        for _ in range(3):
            client.sendall(HELLO)
            assert greeting(client).endswith(b"hello")


def test_a_large_answer_arrives_whole() -> None:
    with served(large) as address:
        assert len(get(address).partition(b"\r\n\r\n")[2]) == LARGE


def test_connections_that_say_nothing_take_no_thread() -> None:
    with served(hello, QUICK) as address, contextlib.ExitStack() as stack:
        silent = [stack.enter_context(connected(address)) for _ in range(10)]
        assert get(address).endswith(b"hello")
        assert all(read_all(connection) == b"" for connection in silent), "they are closed when they say nothing"


def drip(client: socket.socket, done: threading.Event) -> None:
    """Send a head without end, each line within the time that a client may be silent."""
    with contextlib.suppress(OSError):
        client.sendall(b"GET / HTTP/1.1\r\n")
        while not done.wait(QUICK.silence / 6):
            client.sendall(b"X-A: b\r\n")


def test_a_head_that_never_ends_is_cut_off_in_time() -> None:
    done = threading.Event()
    with served(hello, QUICK) as address, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connected(address)) for _ in range(4)]
        for client in clients:
            threading.Thread(target=drip, args=(client, done), daemon=True).start()
        try:
            assert [read_all(client) for client in clients] == [b""] * 4
            assert get(address).endswith(b"hello")
        finally:
            done.set()


def test_a_body_that_does_not_come_is_not_waited_for_long() -> None:
    def read_it(environment: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environment["wsgi.input"].read(10)
        return hello(environment, start_response)

    with served(read_it, QUICK) as address:
        request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf"
        assert b"hello" not in exchange(address, request)


def trickle(client: socket.socket, done: threading.Event) -> None:
    """Take an answer a byte at a time, each within the time that a client may be silent."""
    with contextlib.suppress(OSError):
        client.sendall(HELLO)
        while not done.wait(QUICK.silence / 6) and client.recv(1):
            pass


def test_answers_that_are_taken_slowly_take_no_thread_and_are_cut_off_in_time() -> None:
    done = threading.Event()
    # Long enough for who takes the whole of it, on a slow machine too.
    with served(large, replace(QUICK, answer=6.0)) as address, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connected(address)) for _ in range(QUICK.threads * 3)]
        threads = [threading.Thread(target=trickle, args=(client, done), daemon=True) for client in clients]
        for thread in threads:
            thread.start()
        try:
            assert len(get(address).partition(b"\r\n\r\n")[2]) == LARGE
            eventually(lambda: all(len(read_all(client)) < LARGE for client in clients), "they are cut off")
        finally:
            done.set()


def long_lane(path: str) -> Lane:
    return {"/long": Lane.LONG, "/list": Lane.LISTS}.get(path, Lane.STATUS)


def waiting_at(path: str) -> tuple[Callable[..., Iterable[bytes]], threading.Semaphore, threading.Event]:
    """Return an application that waits at a path, what counts the requests that wait, and what ends the wait."""
    begun, go_on = threading.Semaphore(0), threading.Event()

    def answer(environment: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environment["PATH_INFO"] == path:
            begun.release()
            assert go_on.wait(30)
        return hello(environment, start_response)

    return answer, begun, go_on


@contextlib.contextmanager
def many_asking(address: tuple[str, int], path: bytes) -> Iterator[list[socket.socket]]:
    """Connect clients that have asked for a path."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connected(address)) for _ in range(24)]
        for client in clients:
            client.sendall(HELLO.replace(b" / ", b" %b " % path))
        yield clients


def test_what_takes_long_waits_for_its_like_and_keeps_nobody_else_waiting() -> None:
    answer, begun, go_on = waiting_at("/long")
    with served(answer, lane_of=long_lane) as address, many_asking(address, b"/%6cong") as clients:
        assert begun.acquire(timeout=30)
        assert get(address).endswith(b"hello")
        assert not begun.acquire(blocking=False), "only one is worked on"
        go_on.set()
        assert all(greeting(client).endswith(b"hello") for client in clients)


def test_lists_that_wait_for_each_other_keep_no_status_waiting() -> None:
    answer, begun, go_on = waiting_at("/list")
    with served(answer, lane_of=long_lane) as address, many_asking(address, b"/list") as clients:
        for _ in range(ConnectionLimits().threads):
            assert begun.acquire(timeout=30)
        assert get(address).endswith(b"hello")
        go_on.set()
        assert all(greeting(client).endswith(b"hello") for client in clients)


def test_a_flood_of_what_takes_long_leaves_room_for_others() -> None:
    go_on = threading.Event()

    def answer(environment: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environment["PATH_INFO"] == "/long":
            assert go_on.wait(30)
        return hello(environment, start_response)

    limits = ConnectionLimits(connections=20)
    with served(answer, limits, lane_of=long_lane) as address, contextlib.ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(connected(address)).sendall(HELLO.replace(b" / ", b" /long "))
        assert get(address).endswith(b"hello")
        go_on.set()


def busy(_environment: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("503 Service Unavailable", [("Content-Length", "4"), ("Retry-After", "1")])
    return [b"busy"]


def test_an_answer_that_says_to_come_later_is_held_back_without_a_thread() -> None:
    with served(busy, ConnectionLimits(threads=1, hold=0.3)) as address, contextlib.ExitStack() as stack:
        begun = time.monotonic()
        clients = [stack.enter_context(connected(address)) for _ in range(10)]
        for client in clients:
            client.sendall(HELLO.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert all(read_all(client).endswith(b"busy") for client in clients)
        assert time.monotonic() - begun >= 0.3


def test_requests_that_come_together_are_answered_in_order() -> None:
    def echo(environment: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [environment["wsgi.input"].read(), environment["QUERY_STRING"].encode()]

    first = b"POST /?one HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab"
    last = b"GET /?two HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with served(echo) as address:
        answers = exchange(address, first + b"\r\n" + last)
    assert [part.rpartition(b"\r\n\r\n")[2] for part in answers.split(b"HTTP/1.1 200 OK")[1:]] == [b"abone", b"two"]


def test_a_client_that_says_no_more_after_its_request_gets_its_answer() -> None:
    with served(large) as address, connected(address) as client:
        client.sendall(HELLO)
        client.shutdown(socket.SHUT_WR)
        assert len(read_all(client)) > LARGE


def pieces(_environment: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [])
    return (b"piece %d " % number * 1000 for number in range(100))


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_an_answer_of_unknown_length_arrives_whole(version: bytes) -> None:
    with served(pieces) as address:
        answer = exchange(address, b"GET / HTTP/%s\r\nHost: x\r\nConnection: close\r\n\r\n" % version)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert (b"chunked" in head) is (version == b"1.1")
    assert b"piece 99" in body
    assert b"Content-Length" not in head
    assert body.endswith(b"0\r\n\r\n") is (version == b"1.1")


def test_the_head_alone_is_sent_where_only_that_is_asked_for() -> None:
    with served(hello) as address:
        answer = exchange(address, b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b"Content-Length: 5" in answer
    assert answer.endswith(b"\r\n\r\n")


def test_a_header_of_an_application_cannot_begin_another_line() -> None:
    def split(_environment: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [("X-A", "b\r\nSet-Cookie: c")])
        return [b""]

    with served(split) as address:
        answer = get(address)
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"Set-Cookie" not in answer


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * LARGEST_HEAD + b"\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 101 + b"\r\n", b"431"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1_0\r\n\r\n0123456789", b"400"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n0", b"400"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0, 0\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", b"400"),
        (b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
        (b"GET /#a HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
        (b"GET /" + b"b" * LARGEST_HEAD + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"414"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (LARGEST_BODY + 1), b"413"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n0\r\n\r\n", b"411"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", b"417"),
        (b"\x16\x03\x01 nonsense\r\n\r\n", b"400"),
        (b"get / HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
        (b"GET http://elsewhere/ HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
        (b"CONNECT elsewhere:80 HTTP/1.1\r\nHost: x\r\n\r\n", b"405"),
        (b"GET / HTTP/3.0\r\nHost: x\r\n\r\n", b"505"),
    ],
)
def test_what_is_too_large_or_no_http_is_refused(
    request_: bytes, status: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with served(hello) as address:
        assert exchange(address, request_).split()[1] == status
        assert get(address).endswith(b"hello")
    assert caplog.text == ""


def test_clients_that_go_in_the_middle_leave_no_trace_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with served(large) as address:
        for part in (b"", b"GET / HT", HELLO):
            with connected(address) as client:
                client.sendall(part)
                # A reset instead of a farewell.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        assert get(address).startswith(b"HTTP/1.1 200")
    assert caplog.text == ""


def test_an_application_that_fails_half_way_is_logged_and_its_answer_is_seen_to_be_cut(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(_environment: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [])
        yield b"begun" * HANDED_OVER
        raise ZeroDivisionError

    with served(fail) as address:
        answer = get(address)
    assert b"begun" in answer
    assert not answer.endswith(b"0\r\n\r\n"), "the end of a chunked answer"
    assert "ZeroDivisionError" in caplog.text


def test_closing_is_quick_whatever_clients_do() -> None:
    with contextlib.ExitStack() as stack:
        with served(large) as address:
            idle, half, slow = (stack.enter_context(connected(address)) for _ in range(3))
            half.sendall(b"GET / HT")
            slow.sendall(HELLO)
            assert slow.recv(10)
            assert get(address)
            begun = time.monotonic()
        assert time.monotonic() - begun < 0.5
        assert idle.recv(10) == b""


def test_many_clients_at_once_are_all_answered() -> None:
    answers: list[bytes] = []

    def ask(address: Address) -> None:
        with connected(address) as client:
            for _ in range(5):
                client.sendall(HELLO)
                answers.append(greeting(client))

    with served(hello) as address:
        threads = [threading.Thread(target=ask, args=(address,)) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(answers) == 250
    assert all(answer.endswith(b"hello") for answer in answers)


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_descriptors_are_given_back() -> None:
    with served(hello, QUICK) as address:
        get(address)
        before = descriptors()
        for _ in range(20):
            get(address)
        assert descriptors() <= before + 1


def test_nothing_is_left_of_a_server_that_is_collected() -> None:
    threads = threading.active_count()
    with served(hello, ConnectionLimits(threads=1)) as address:
        get(address)
    assert threading.active_count() == threads
    with socket.create_server(("127.0.0.1", 0)) as bound:
        Serving(bound, hello)
