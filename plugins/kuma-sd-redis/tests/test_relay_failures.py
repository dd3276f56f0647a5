"""What Redis, or what poses as it, sends is never quoted."""

import re
import socket
from pathlib import Path

import pytest
from byte_server import Talk, byte_server
from redis_server import RedisServer, redis_server
from relay_kit import KEYS, edge, publishing
from waiting import eventually

from kuma_sd import OutputError
from kuma_sd.testing import publication

MARK = "s3cr3t-t0k3n"


@pytest.mark.parametrize(
    "answer",
    [
        f"-ERR {MARK}",
        f"-NOPERM this user has no permissions to run the '{MARK}' command",
        f"-WRONGPASS {MARK}",
        f"-LOADING {MARK}",
        f"-MOVED 1 {MARK}:6379",
        f"-{MARK}",
        f"+{MARK}",
        f"${MARK}",
        f"{MARK}",
        f"HTTP/1.1 400 {MARK}",
    ],
)
@pytest.mark.parametrize("scheme", ["redis", "redis+sentinel", "redis+cluster"])
def test_an_answer_that_is_none_is_not_quoted(answer: str, scheme: str) -> None:
    def talk(peer: object) -> None:
        while peer.recv(65536):  # type: ignore[attr-defined]
            peer.sendall(f"{answer}\r\n".encode())  # type: ignore[attr-defined]

    with byte_server(talk) as server:
        url = f"{scheme}://user:{MARK}@{server.address}" + ("/main" if scheme == "redis+sentinel" else "")
        with edge(url, relay_timeout=1.0) as reader:
            reader.wait(lambda one: one.errors)
            shown = f"{reader.errors} {reader.facts} {reader.source.status}"
    assert MARK not in shown
    assert "Redis at " in reader.errors[0] or "cannot subscribe" in reader.errors[0]


@pytest.mark.parametrize("answer", [b":5\r\n", b"*2\r\n:1\r\n*1\r\n:1\r\n", b"*1\r\n" * 2000, b"*-1\r\n", b"$-1\r\n"])
def test_a_reply_of_another_shape_is_a_failure_and_ends_no_thread(answer: bytes) -> None:
    """A thread that dies ends the daemon, and here the test."""

    def talk(peer: object) -> None:
        while asked := peer.recv(65536):  # type: ignore[attr-defined]
            opening = any(word in asked for word in (b"AUTH", b"SELECT", b"CLIENT"))
            peer.sendall(b"+OK\r\n" * asked.count(b"\r\n*") + b"+OK\r\n" if opening else answer)  # type: ignore[attr-defined]

    with byte_server(talk) as server:
        with edge(f"redis://{server.address}", relay_timeout=1.0) as reader:
            reader.wait(lambda one: len(one.errors) >= 2)
        with publishing(f"redis://{server.address}", timeout=1.0) as output, pytest.raises(OutputError):
            output.publish(publication("a"))


CONFIRMED = b"*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n"
LEASED = b"*3\r\n:1\r\n$1\r\nx\r\n:1000\r\n"
INTEGER = b":5\r\n"
LIST = b"*1\r\n:5\r\n"
HEAD = b"$13\r\n1 1 a 1.a 1 0\r\n"


def answering(answers: dict[bytes, bytes]) -> Talk:
    """Answer each command that begins with one of these words, and refuse nothing else."""

    def talk(peer: socket.socket) -> None:
        with peer.makefile("rb") as asked:
            while head := asked.readline():
                words = []
                for _ in range(int(head[1:])):
                    words.append(asked.read(int(asked.readline()[1:])))
                    asked.readline()
                command = b" ".join(words)
                known = (answer for word, answer in answers.items() if re.search(word, command))
                peer.sendall(next(known, b"+OK\r\n"))

    return talk


@pytest.mark.parametrize(
    "answers",
    [
        {b"^GET .*head": INTEGER},
        {b"^GET .*head": LIST},
        {b"^GET .*lease": INTEGER, b"^GET": b"$-1\r\n"},
        {b"^GET": HEAD, b"^HSCAN": INTEGER},
        {b"^GET": HEAD, b"^HSCAN": b"*2\r\n$1\r\n0\r\n*0\r\n", b"^XRANGE": INTEGER},
        {b"^GET": HEAD, b"^HSCAN": b"*2\r\n$1\r\n0\r\n*2\r\n:1\r\n:2\r\n", b"^XRANGE": b"*0\r\n"},
    ],
)
def test_an_edge_that_gets_a_reply_of_another_shape_says_so_in_one_line(answers: dict[bytes, bytes]) -> None:
    with byte_server(answering({b"^SUBSCRIBE": CONFIRMED, **answers})) as server:
        with edge(f"redis://{server.address}?shard=0&of=1024", relay_timeout=1.0) as reader:
            reader.wait(lambda one: one.errors)
        assert reader.errors[0] == f"Redis at redis://{server.address}?shard=0&of=1024: its answer is not one of Redis"


@pytest.mark.parametrize("claimed", [b"*2\r\n$4\r\ndone\r\n:5\r\n", INTEGER])
def test_a_publisher_that_gets_a_reply_of_another_shape_says_so_in_one_line(claimed: bytes) -> None:
    with byte_server(answering({b"^EVALSHA .*:token": LEASED, b"^EVALSHA": claimed})) as server:
        url = f"redis://{server.address}"
        with publishing(url, timeout=1.0) as output, pytest.raises(OutputError) as caught:
            output.publish(publication("a"))
    assert str(caught.value) == f"Redis at {url}: its answer is not one of Redis"


@pytest.mark.parametrize(
    ("arguments", "user", "said"),
    [
        (["--requirepass", "other"], "", "it requires a password"),
        (["--requirepass", "other"], ":wrong@", "it rejects user or password"),
    ],
)
def test_known_refusals_are_said_in_our_words(arguments: list[str], user: str, said: str, tmp_path: Path) -> None:
    with redis_server(tmp_path, *arguments) as server, edge(server.url.replace("://", f"://{user}")) as reader:
        reader.wait(lambda one: one.errors)
        assert said in reader.errors[0]


def test_a_right_that_is_missing_is_named(server: RedisServer) -> None:
    server.cli("ACL", "SETUSER", "edge", "on", "nopass", "~*", "&*", "+@all", "-psubscribe")
    with edge(server.url.replace("://", "://edge:x@")) as reader:
        reader.wait(lambda one: one.errors)
        assert "its user may not use PSUBSCRIBE: see the rights" in reader.errors[0]


def test_what_somebody_else_wrote_is_not_quoted(server: RedisServer) -> None:
    server.cli("SET", KEYS.lease, MARK)
    with edge(server.url + "?shard=0&of=1024") as reader:
        eventually(lambda: reader.facts["leader"] == "unknown", "the lease was read")
        assert MARK not in str(reader.facts)
    server.cli("SET", KEYS.head(0), MARK)
    with edge(server.url + "?shard=0&of=1024") as reader:
        reader.wait(lambda one: one.errors)
        assert MARK not in f"{reader.errors} {reader.facts}"
