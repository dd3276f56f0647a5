"""A server that speaks byte for byte as told, for answers that no library would send."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Talk = Callable[[socket.socket], None]


@dataclass
class ByteServer:
    """Where it listens, and how many connections came."""

    address: str
    connections: int = 0


@contextlib.contextmanager
def byte_server(talk: Talk, tls: ssl.SSLContext | None = None) -> Iterator[ByteServer]:
    """Run a server that talks over each connection in a thread of its own; ends them all at the end."""
    open_ones: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = ByteServer(f"127.0.0.1:{listener.getsockname()[1]}")

        def follow(peer: socket.socket) -> None:
            with contextlib.suppress(OSError, ValueError), peer:
                if tls:
                    with tls.wrap_socket(peer, server_side=True) as wrapped:
                        talk(wrapped)
                else:
                    talk(peer)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = listener.accept()
                    server.connections += 1
                    open_ones.append(peer)
                    threading.Thread(target=follow, args=(peer,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield server
        finally:
            for peer in open_ones:
                with contextlib.suppress(OSError):
                    peer.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def read_request(peer: socket.socket) -> bytes:
    """Read one HTTP request, its body too; nothing when the peer is gone."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = peer.recv(65536)
        if not piece:
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            while len(body) < int(value):
                body += peer.recv(65536)
    return head + b"\r\n\r\n" + body


def answering(*answers: bytes) -> Talk:
    """Return what answers each request with the next of these, and then stays silent."""
    rest = iter(answers)

    def talk(peer: socket.socket) -> None:
        while read_request(peer):
            if (answer := next(rest, None)) is not None:
                peer.sendall(answer)

    return talk
