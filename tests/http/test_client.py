import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from byte_server import Talk, answering, byte_server, read_request
from http_server import http_server

from kuma_sd import Access, ClientOptions, HttpClient, SourceError, parse_address, parse_url
from kuma_sd.core.errors import ConnectionClosedError
from kuma_sd.http import answer_limits
from kuma_sd.http.errors import SilentError, TooLargeError
from kuma_sd.http.options import HEADER


@contextlib.contextmanager
def client(address: str, **options: Any) -> Iterator[HttpClient]:
    parsed, configured = parse_address(address), ClientOptions(**options)
    opened = HttpClient(parsed.replicas[0], configured, Access(configured, parsed.user))
    try:
        yield opened
    finally:
        opened.close()


def failure(address: str, timeout: float = 10.0, **options: Any) -> SourceError:
    with client(address, **options) as asking, pytest.raises(SourceError) as error:
        asking.ask("GET", "/", timeout=timeout)
    assert len(str(error.value).splitlines()) == 1
    return error.value


def dribble(peer: socket.socket, seconds: float = 0.02) -> None:
    """Send a byte now and then, until nobody listens any more."""
    while True:
        peer.sendall(b" ")
        time.sleep(seconds)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the pace of bodies more often than every half minute."""
    monkeypatch.setattr(answer_limits, "BODY_SECONDS", 0.3)
    monkeypatch.setattr(answer_limits, "BODY_BYTES", 100)


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("framing", [b"Content-Length: 100000", b"Transfer-Encoding: chunked", b"X-Until: the end"])
def test_a_body_that_dribbles_is_given_up(framing: bytes) -> None:
    def talk(peer: socket.socket) -> None:
        read_request(peer)
        peer.sendall(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n1" % framing)
        dribble(peer)

    with byte_server(talk) as server:
        assert isinstance(failure(f"http://{server.address}"), SilentError)


@pytest.mark.usefixtures("hasty")
def test_a_body_that_takes_long_and_goes_on_is_read() -> None:
    def talk(peer: socket.socket) -> None:
        read_request(peer)
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6000\r\n\r\n")
        for _ in range(60):
            peer.sendall(b"x" * 100)
            time.sleep(0.02)

    with byte_server(talk) as server, client(f"http://{server.address}") as asking:
        assert asking.ask("GET", "/", timeout=5).body == b"x" * 6000


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\nX-Slow: "])
def test_a_head_that_dribbles_or_never_comes_is_given_up_in_time(start: bytes) -> None:
    def talk(peer: socket.socket) -> None:
        read_request(peer)
        peer.sendall(start)
        if start:
            dribble(peer)
        threading.Event().wait(30)

    with byte_server(talk) as server:
        began = time.monotonic()
        error = failure(f"http://{server.address}", timeout=0.5)
        assert isinstance(error, SilentError)
        assert str(error) == "no answer within 500ms"
        assert time.monotonic() - began < 5


def test_early_hints_come_before_the_answer() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"
    with byte_server(answering(hints + hints + OK)) as server, client(f"http://{server.address}") as asking:
        answer = asking.ask("GET", "/", timeout=5)
    assert answer.status == 200
    assert answer.body == b"ok"


def overflowing(start: bytes, piece: bytes) -> tuple[Talk, list[int]]:
    """Return what answers with a start and then with the same bytes without end, and a list of the sizes sent."""
    sent: list[int] = []

    def talk(peer: socket.socket) -> None:
        read_request(peer)
        peer.sendall(start)
        while True:
            peer.sendall(piece)
            sent.append(len(piece))

    return talk, sent


def test_interim_responses_without_end_are_refused_after_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []
    parse = http.client.parse_headers

    def counted(*arguments: Any) -> object:
        read.append(arguments)
        return parse(*arguments)

    monkeypatch.setattr(http.client, "parse_headers", counted)
    for status in (b"100 Continue", b"103 Early Hints", b"199 Odd"):
        read.clear()
        talk, _ = overflowing(b"", b"HTTP/1.1 %b\r\n\r\n" % status)
        with byte_server(talk) as server:
            assert "more than 10 interim responses (HTTP status 1xx) and no answer" in str(
                failure(f"http://{server.address}")
            )
        assert len(read) == answer_limits.MOST_INTERIM + 1


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("start", "piece", "reason"),
    [
        (b"HTTP/1.1 100 Continue\r\n", b"X: %b\r\n" % (b"y" * 60_000), "its headers do not end"),
        (CHUNKED, b"1;x=%b\r\nz\r\n" % (b"y" * 60_000), "it sends more between chunks than in them"),
        (CHUNKED, b"1\r\nz\r\n" * 1000, "it sends more between chunks than in them"),
        (CHUNKED + b"0\r\n", b"X: y\r\n" * 1000, "it sends more between chunks than in them"),
        (CHUNKED + b"0" * 10, b"0" * 60_000, "longer than 64KiB"),
    ],
    ids=["headers", "chunk extensions", "tiny chunks", "trailers", "a chunk size"],
)
def test_what_has_no_end_around_the_content_is_refused(start: bytes, piece: bytes, reason: str) -> None:
    talk, sent = overflowing(start, piece)
    with byte_server(talk) as server:
        assert reason in str(failure(f"http://{server.address}"))
    # What is in the buffers of the sockets was sent, too.
    assert sum(sent) < 8 * answer_limits.OVERHEAD_BYTES


def test_a_compressed_answer_is_refused_unread() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 10\r\n\r\n" + b"\x1f\x8b" * 5
    with byte_server(answering(answer)) as server:
        assert "its answer is compressed, which kuma-sd does not ask for" in str(failure(f"http://{server.address}"))


def test_an_answer_that_is_said_to_be_too_large_is_refused_unread() -> None:
    with byte_server(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")) as server:
        error = failure(f"http://{server.address}", max_message_size=1000)
    assert isinstance(error, TooLargeError)
    assert "raise it to 8KiB or more" in str(error)


@pytest.mark.parametrize(
    "head", [b"".join(b"X-%d: y\r\n" % number for number in range(101)), b"X-Long: %b\r\n" % (b"y" * 2**17)]
)
def test_too_many_headers_or_too_long_ones_are_said(head: bytes) -> None:
    with byte_server(answering(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n")) as server:
        assert "more than 100 headers, or one longer than 64KiB" in str(failure(f"http://{server.address}"))


def test_a_connection_that_was_closed_while_it_was_idle_is_made_again() -> None:
    def talk(peer: socket.socket) -> None:
        read_request(peer)
        peer.sendall(OK)

    with byte_server(talk) as server, client(f"http://{server.address}") as asking:
        for _ in range(3):
            assert asking.ask("GET", "/", timeout=5).body == b"ok"
        assert server.connections == 3


def test_a_connection_that_is_closed_at_the_second_request_is_made_again_once() -> None:
    def talk(peer: socket.socket) -> None:
        read_request(peer)
        peer.sendall(OK)
        read_request(peer)

    with byte_server(talk) as server, client(f"http://{server.address}") as asking:
        assert asking.ask("GET", "/", timeout=5).body == b"ok"
        assert asking.ask("GET", "/", timeout=5).body == b"ok"
        assert server.connections == 2


def test_a_server_that_is_gone_is_not_asked_in_a_loop() -> None:
    with byte_server(answering(OK)) as server, client(f"http://{server.address}") as asking:
        asking.ask("GET", "/", timeout=5)
        address = server.address
    with client(f"http://{address}") as asking, pytest.raises(SourceError):
        asking.ask("GET", "/", timeout=5)


@pytest.mark.parametrize(
    ("answer", "reason", "is_closed"),
    [
        (b"220 mail.example.org ESMTP\r\n", "it does not speak HTTP", False),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
            "the connection was closed in the middle of an answer",
            False,
        ),
        (b"", "the connection was closed before an answer came", True),
    ],
)
def test_what_is_no_whole_answer_is_told_apart(answer: bytes, reason: str, *, is_closed: bool) -> None:
    def talk(peer: socket.socket) -> None:
        read_request(peer)
        peer.sendall(answer)

    with byte_server(talk) as server:
        error = failure(f"http://{server.address}")
    assert str(error) == reason
    assert isinstance(error, ConnectionClosedError) == is_closed


def test_a_client_that_is_closed_says_so() -> None:
    with byte_server(answering()) as server, client(f"http://{server.address}") as asking:
        threading.Timer(0.2, asking.close).start()
        with pytest.raises(SourceError, match=r"^the connection was closed$"):
            asking.ask("GET", "/", timeout=30)


class TestTLS:
    @pytest.fixture
    def authority(self) -> trustme.CA:
        return trustme.CA()

    @pytest.fixture
    def context(self, authority: trustme.CA) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        return context

    @pytest.fixture
    def trusted(self, authority: trustme.CA, tmp_path: Path) -> str:
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        return str(tmp_path / "ca.pem")

    def test_a_port_with_tls_is_recognised_and_the_address_to_use_is_named(self, context: ssl.SSLContext) -> None:
        with http_server(context) as server:
            error = failure(f"http://{server.address}/kuma")
            assert str(error) == f"the server expects TLS: use https://{server.address}/kuma"

    def test_a_server_that_answers_400_because_it_speaks_tls_is_recognised_too(self, context: ssl.SSLContext) -> None:
        # As Go's net/http does.
        def talk(peer: socket.socket) -> None:
            if peer.recv(1, socket.MSG_PEEK) == b"\x16":
                with context.wrap_socket(peer, server_side=True) as inner:
                    inner.recv(1)
            else:
                read_request(peer)
                peer.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")

        with byte_server(talk) as server:
            assert str(failure(f"http://{server.address}")) == f"the server expects TLS: use https://{server.address}"

    def test_a_port_without_tls_is_recognised_and_the_address_to_use_is_named(self) -> None:
        with http_server() as server:
            server.answer()
            assert (
                str(failure(f"https://{server.address}")) == f"the server does not use TLS: use http://{server.address}"
            )

    def test_an_unknown_authority_names_the_option(self, context: ssl.SSLContext) -> None:
        with http_server(context) as server:
            assert str(failure(f"https://{server.address}")).endswith("with tls-ca-file")

    def test_a_certificate_for_another_name_names_the_option(self, context: ssl.SSLContext, trusted: str) -> None:
        with http_server(context) as server:
            address = f"https://localhost:{server.address.partition(':')[2]}"
            assert str(failure(address, tls_ca_file=trusted)).endswith("with tls-server-name")

    def test_a_proxy_may_be_spoken_to_over_tls(self, context: ssl.SSLContext, trusted: str) -> None:
        with http_server(context) as proxy:
            proxy.answer(body=b"ok")
            options = {"proxy": parse_url(f"https://user:p%40ss@{proxy.address}"), "tls_ca_file": trusted}
            with client("http://kuma.invalid:5676", **options) as asking:
                assert asking.ask("GET", "/", timeout=5).body == b"ok"
            request = proxy.requests.get(timeout=5)
        assert request.path == "http://kuma.invalid:5676/"
        assert request.headers["Proxy-Authorization"] == "Basic dXNlcjpwQHNz"

    def test_tls_goes_through_a_proxy_that_wants_a_password(self, context: ssl.SSLContext, trusted: str) -> None:
        connects: list[bytes] = []

        def talk(peer: socket.socket) -> None:
            connects.append(read_request(peer))
            peer.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with context.wrap_socket(peer, server_side=True) as inner:
                read_request(inner)
                inner.sendall(OK)

        with byte_server(talk) as proxy:
            options = {"proxy": parse_url(f"http://user:p%40ss@{proxy.address}"), "tls_ca_file": trusted}
            with client("https://127.0.0.1:5676", **options) as asking:
                assert asking.ask("GET", "/", timeout=5).body == b"ok"
        assert b"CONNECT 127.0.0.1:5676" in connects[0]
        assert b"Proxy-Authorization: Basic dXNlcjpwQHNz" in connects[0]


def test_a_proxy_that_cannot_be_reached_is_named_without_its_password() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    error = failure("http://kuma.invalid:5676", proxy=parse_url(f"http://user:s3cr3t@127.0.0.1:{port}"))
    assert str(error).startswith(f"the proxy http://127.0.0.1:{port} fails: ")


@pytest.mark.parametrize("text", ["X-Tenant: é", "Content-Length: 5", "transfer-encoding: x", "no colon", "X Y: z"])
def test_a_header_that_cannot_be_sent_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a header|cannot be set"):
        HEADER.parse(text)
