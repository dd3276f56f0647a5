"""A gRPC server made of raw frames of HTTP/2, for what no library of gRPC would ever send."""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, END_HEADERS, ACK = 1, 4, 1
PREFACE = 24


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return one frame."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def header(name: bytes, value: bytes) -> bytes:
    """Return a header field as a literal."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def message(data: bytes, *, compressed: bool = False, size: int | None = None) -> bytes:
    """Return a message of gRPC; its size may be a lie."""
    return bytes([compressed]) + struct.pack(">I", len(data) if size is None else size) + data


def trailers(status: int) -> bytes:
    """Return the trailers that end a stream."""
    return header(b"grpc-status", str(status).encode()) + header(b"grpc-message", b"so it is")


@contextlib.contextmanager
def raw_grpc(first: bytes, *then: tuple[int, int, bytes]) -> Iterator[str]:
    """Answer each stream with a message, and then with these frames (kind, flags, payload); yields host and port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    threading.Thread(target=_serve, args=(client, first, then), daemon=True).start()

        threading.Thread(target=run, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


def _serve(client: socket.socket, first: bytes, then: tuple[tuple[int, int, bytes], ...]) -> None:
    with client, contextlib.suppress(OSError), client.makefile("rb") as received:
        received.read(PREFACE)
        client.sendall(frame(SETTINGS, 0, 0))
        while head := received.read(9):
            kind, flags, stream = head[3], head[4], int.from_bytes(head[5:])
            payload = received.read(int.from_bytes(head[:3]))
            if kind == SETTINGS and not flags & ACK:
                client.sendall(frame(SETTINGS, ACK, 0))
            elif kind == PING and not flags & ACK:
                client.sendall(frame(PING, ACK, 0, payload))
            elif kind == HEADERS:
                # 0x88 is the indexed field ``:status: 200``.
                client.sendall(
                    frame(HEADERS, END_HEADERS, stream, b"\x88" + header(b"content-type", b"application/grpc"))
                )
                client.sendall(frame(DATA, 0, stream, message(first)))
                for what, with_flags, content in then:
                    client.sendall(frame(what, with_flags, 0 if what == GOAWAY else stream, content))
