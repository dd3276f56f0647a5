"""No client takes more than its share: real connections that are slow, many, broken or rude."""

import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from serving import QUICK, Address, connected, exchange, get, read_all, served

from kuma_sd.web.application import LARGEST_BODY
from kuma_sd.web.server.server import LARGEST_HEAD, ConnectionLimits, Serving

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


def test_an_answer_that_is_taken_slowly_is_cut_off_in_time() -> None:
    with served(large, QUICK) as address, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connected(address)) for _ in range(QUICK.threads)]
        begun = time.monotonic()
        for client in clients:
            client.sendall(HELLO)
        # All threads are busy with them; as soon as they are cut off, the next is served.
        assert get(address).startswith(b"HTTP/1.1 200")
        assert time.monotonic() - begun < 5
        assert all(len(read_all(client)) < LARGE for client in clients)


def test_there_are_only_so_many_connections() -> None:
    with served(hello, ConnectionLimits(connections=20)) as address, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connected(address)) for _ in range(25)]
        for client in clients:
            with contextlib.suppress(ConnectionError):
                client.sendall(HELLO)
        answers = [greeting(client) for client in clients]
        assert sum(answer.endswith(b"hello") for answer in answers) == 20
        assert answers.count(b"") == 5


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * LARGEST_HEAD + b"\r\n\r\n", b"413"),
        (b"GET /" + b"b" * LARGEST_HEAD + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"414"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (LARGEST_BODY + 1), b"413"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n0\r\n\r\n", b"411"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", b"400"),
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
        yield b"begun"
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


def test_a_socket_that_systemd_meant_for_others_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PID", "1")
    with served(hello) as address:
        assert get(address).endswith(b"hello")
    assert "LISTEN_PID" not in os.environ


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
