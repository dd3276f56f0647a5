"""A TCP relay between the daemon and a control plane, which simulates network failures."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator

PIECE = 2**16
TICK = 0.1


class Relay:
    """Forwards bytes, with configurable failures.

    ``cut_after`` ends all connections once that many more bytes came from the control plane, and then is None again.
    ``rate`` limits what comes from there, in bytes a second. ``answer`` is said to every new connection before it is
    closed, in the place of passing it on; empty, the connection is just closed.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self.url = f"grpc://127.0.0.1:{self._listener.getsockname()[1]}"
        self.port = 0
        self.accepted: list[float] = []
        self.cut_after: int | None = None
        self.rate: int | None = None
        self.answer: bytes | None = None

    def run(self) -> None:
        """Accept connections until closed."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.accepted.append(time.monotonic())
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def close(self) -> None:
        """Close the relay."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Close all current connections."""
        with self._lock:
            pairs = list(self._pairs)
        for item in [side for pair in pairs for side in pair]:
            with contextlib.suppress(OSError):
                item.shutdown(socket.SHUT_RDWR)

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.answer is not None:
                client.sendall(self.answer)
                return
            with socket.create_connection(("127.0.0.1", self.port)) as server:
                server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._join(client, server)

    def _join(self, client: socket.socket, server: socket.socket) -> None:
        pair = (client, server)
        with self._lock:
            self._pairs.add(pair)
        back = threading.Thread(target=self._pump, args=(server, client), kwargs={"disturbed": True}, daemon=True)
        back.start()
        self._pump(client, server, disturbed=False)
        back.join()
        with self._lock:
            self._pairs.discard(pair)

    def _pump(self, source: socket.socket, sink: socket.socket, *, disturbed: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(PIECE):
                if disturbed and self.cut_after is not None:
                    data, over = data[: self.cut_after], len(data) >= self.cut_after
                    self.cut_after -= len(data)
                    sink.sendall(data)
                    if over:
                        self.cut_after = None
                        self.cut()
                        return
                else:
                    self._send(sink, data, slowly=disturbed)
        for item in (source, sink):
            with contextlib.suppress(OSError):
                item.shutdown(socket.SHUT_RDWR)

    def _send(self, sink: socket.socket, data: bytes, *, slowly: bool) -> None:
        pause = threading.Event()
        while data:
            size = len(data) if not (slowly and self.rate) else max(1, int(self.rate * TICK))
            sink.sendall(data[:size])
            data = data[size:]
            if data:
                pause.wait(TICK)


@contextlib.contextmanager
def relaying() -> Iterator[Relay]:
    """Run a relay while the block runs."""
    relay = Relay()
    threading.Thread(target=relay.run, daemon=True).start()
    try:
        yield relay
    finally:
        relay.close()


def garbage() -> bytes:
    """Return bytes that mean nothing, of any length."""
    return os.urandom(1 + os.urandom(1)[0] * 8)
