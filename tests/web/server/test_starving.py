"""Clients that send their request and take its answer get it, however many others do not, from however many addresses.

Nothing is left to chance here: a client connects, a number of others connect, then the client sends its request.
"""

import contextlib
import itertools
import os
import resource
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from serving import Address, connected, get, read_all, served

from kuma_sd.web.server.limits import MODEST, ConnectionLimits
from kuma_sd.web.server.tls import ServerContext

HELLO = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

MUCH = bytes(2**23)
"""More than fits into the buffers between a server and a client that reads nothing."""

ROOM = ConnectionLimits(connections=100)

NEWCOMERS = 60
"""Number of clients that connect meanwhile; fewer than there is room for, as all that remains must be theirs."""


def answer(environment: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer what the path says: with much, with an error, later, or with a greeting."""
    path = environment["PATH_INFO"]
    status, headers, body = {
        "/much": ("200 OK", [], MUCH),
        "/error": ("404 Not Found", [], b"error"),
        "/later": ("503 Service Unavailable", [("Retry-After", "1")], b"later"),
    }.get(path, ("200 OK", [], b"hello"))
    start_response(status, [*headers, ("Content-Length", str(len(body)))])
    return [body]


class Slow:
    """Slow clients, each from another address of this machine, with the first byte of a request or a TLS handshake."""

    def __init__(self, address: Address, byte: bytes = b"G", *, one_address: bool = False) -> None:
        self._address = address
        self._byte = byte
        self._hosts = itertools.repeat("127.0.0.1") if one_address else _hosts()
        self._clients: deque[socket.socket] = deque()

    def arrive(self, number: int, request: bytes = b"") -> list[socket.socket]:
        """Connect, and close the oldest that the server closed long ago."""
        clients = []
        for host in itertools.islice(self._hosts, number):
            client = socket.create_connection(self._address, timeout=30, source_address=(host, 0))
            client.sendall(request or self._byte)
            clients.append(client)
        self._clients += clients
        while len(self._clients) > 2 * ROOM.connections:
            self._clients.popleft().close()
        return clients

    def close(self) -> None:
        while self._clients:
            self._clients.pop().close()


def _hosts() -> Iterator[str]:
    for number in itertools.count():
        yield f"127.{1 + number // 200 % 100}.{number % 200}.1"


def asked(client: socket.socket, path: str = "/", first: int = 0) -> bytes:
    """Send a request, from a byte on, and return what is answered; empty if the connection is cut."""
    with contextlib.suppress(ConnectionError):
        client.sendall(HELLO.replace(b" / ", f" {path} ".encode())[first:])
        received = b""
        while not received.endswith((b"hello", b"error")) and (piece := client.recv(2**16)):
            received += piece
        return received
    return b""


AUTHORITY = trustme.CA()


def server_context() -> ServerContext:
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("localhost").configure_cert(context)
    return context


def client_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


@pytest.mark.parametrize("one_address", [False, True], ids=["from many addresses", "from the same address"])
@pytest.mark.parametrize("tls", [False, True], ids=["HTTP", "TLS"])
def test_beside_slow_clients_every_request_is_answered(*, tls: bool, one_address: bool) -> None:
    context, trusting = (server_context(), client_context()) if tls else (None, None)
    with served(answer, ROOM, lambda: context) as address, contextlib.ExitStack() as stack:
        slow = Slow(address, b"\x16" if tls else b"G", one_address=one_address)
        stack.callback(slow.close)
        slow.arrive(ROOM.connections)
        answers = []
        for _ in range(10):
            # A scraper with several jobs connects several times at once.
            scrapes = [stack.enter_context(socket.create_connection(address, timeout=30)) for _ in range(3)]
            slow.arrive(NEWCOMERS)
            for scrape in scrapes:
                with contextlib.suppress(ConnectionError, ssl.SSLError):
                    wire = trusting.wrap_socket(scrape, server_hostname="localhost") if trusting else scrape
                    with wire:
                        answers.append(asked(wire))
    assert [answer.endswith(b"hello") for answer in answers] == [True] * 30


def test_slow_clients_from_one_address_displace_nobody_else() -> None:
    with served(answer, ROOM) as address, contextlib.ExitStack() as stack:
        slow = Slow(address, one_address=True)
        stack.callback(slow.close)
        client = stack.enter_context(socket.create_connection(address, timeout=30, source_address=("127.0.0.2", 0)))
        slow.arrive(3 * ROOM.connections)
        assert asked(client).endswith(b"hello")


def test_slow_clients_displace_no_other_of_their_address_while_there_is_room() -> None:
    with served(answer) as address, contextlib.ExitStack() as stack:
        slow = Slow(address, one_address=True)
        stack.callback(slow.close)
        client = stack.enter_context(socket.create_connection(address, timeout=30))
        slow.arrive(300)
        assert asked(client).endswith(b"hello")


def test_a_connection_that_was_answered_stays_open_beside_slow_clients() -> None:
    with served(answer, ROOM) as address, connected(address) as client, contextlib.ExitStack() as stack:
        slow = Slow(address)
        stack.callback(slow.close)
        assert asked(client).endswith(b"hello")
        slow.arrive(3 * ROOM.connections)
        assert asked(client).endswith(b"hello")


def test_an_error_earns_no_such_place() -> None:
    with served(answer, ROOM) as address, connected(address) as client, contextlib.ExitStack() as stack:
        slow = Slow(address)
        stack.callback(slow.close)
        assert asked(client, "/error").endswith(b"error")
        slow.arrive(3 * ROOM.connections)
        assert asked(client) == b""


@pytest.mark.parametrize("request_", [HELLO, HELLO.replace(b" / ", b" /much ")], ids=["idle", "that read nothing"])
def test_connections_that_were_answered_leave_room_for_new_clients(request_: bytes) -> None:
    with served(answer, ROOM) as address, contextlib.ExitStack() as stack:
        others, slow = Slow(address), Slow(address)
        stack.callback(others.close)
        stack.callback(slow.close)
        for _ in range(2 * ROOM.connections):
            (other,) = others.arrive(1, request_)
            assert other.recv(10)
        for _ in range(10):
            client = stack.enter_context(socket.create_connection(address, timeout=30))
            slow.arrive(ROOM.connections // 3)
            assert asked(client).endswith(b"hello")


def test_an_answer_that_is_held_back_is_sent_before_its_connection_gives_way() -> None:
    with served(answer, ConnectionLimits(connections=100, hold=60)) as address, contextlib.ExitStack() as stack:
        slow = Slow(address)
        stack.callback(slow.close)
        held = slow.arrive(MODEST, HELLO.replace(b" / ", b" /later "))
        assert get(address).endswith(b"hello"), "the others were read before"
        slow.arrive(ROOM.connections)
        assert [read_all(client)[-5:] for client in held] == [b"later"] * MODEST


def leave_free(number: int, stack: contextlib.ExitStack) -> None:
    """Leave so many file descriptors, until the stack is closed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir())
    stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1 + number, hard))
    taken = []
    with contextlib.suppress(OSError):
        while True:
            taken.append(os.dup(0))
    for descriptor in taken[:number]:
        os.close(descriptor)
    for descriptor in taken[number:]:
        stack.callback(os.close, descriptor)


def test_without_a_free_descriptor_slow_clients_give_way_too() -> None:
    with served(answer, ConnectionLimits(silence=60, request=60)) as address, contextlib.ExitStack() as stack:
        assert get(address).endswith(b"hello")
        clients = [stack.enter_context(socket.socket()) for _ in range(40)]
        leave_free(10, stack)
        for client in clients:
            client.settimeout(30)
            client.connect(address)
            client.sendall(b"G")
        assert asked(clients[-1], first=1).endswith(b"hello")


def test_a_client_that_gets_the_last_free_descriptor_displaces_nobody() -> None:
    with served(answer) as address, connected(address) as first, contextlib.ExitStack() as stack:
        assert asked(first).endswith(b"hello")
        clients = [stack.enter_context(socket.socket()) for _ in range(3)]
        leave_free(len(clients), stack)
        for client in clients:
            client.settimeout(30)
            client.connect(address)
            assert asked(client).endswith(b"hello")
        assert all(asked(client).endswith(b"hello") for client in [first, *clients])


def test_requests_of_many_clients_at_once_are_all_answered_beside_slow_ones() -> None:
    answers: list[bytes] = []

    def scrape(address: Address) -> None:
        for _ in range(20):
            with connected(address) as client:
                client.settimeout(30)
                answers.append(asked(client))

    with served(answer) as address, contextlib.ExitStack() as stack:
        slow = Slow(address)
        stack.callback(slow.close)
        scrapers = [threading.Thread(target=scrape, args=(address,)) for _ in range(3)]
        for scraper in scrapers:
            scraper.start()
        for _ in range(20):
            slow.arrive(20)
        for scraper in scrapers:
            scraper.join()
    assert [answer.endswith(b"hello") for answer in answers] == [True] * 60
