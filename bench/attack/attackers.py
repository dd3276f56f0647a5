"""Attack a listener, in a separate process: ``attackers.py KIND COUNT PORT CREDENTIALS one|many http|https``."""

import base64
import contextlib
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable

HEAD = "GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {credentials}\r\nConnection: close\r\n\r\n"

ONE_ADDRESS = "one" in sys.argv[5:]
HTTPS = "https" in sys.argv[5:]

TLS_RECORD = b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03"
"""The start of a long ClientHello."""

CONTEXT = ssl.create_default_context()
CONTEXT.check_hostname = False
CONTEXT.verify_mode = ssl.CERT_NONE

Attack = Callable[[int, int, str], None]


def slow(number: int, port: int, _credentials: str) -> None:
    """Send a head of one byte a second; with TLS, the start of a handshake."""
    with _connected(number, port, handshake=False) as client:
        for letter in (TLS_RECORD if HTTPS else b"") + b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 1000:
            client.send(bytes([letter]))
            time.sleep(1)


def reader(number: int, port: int, credentials: str) -> None:
    """Request a list and read one byte of it a second."""
    with _connected(number, port) as client:
        client.sendall(HEAD.format(path="/sd", credentials=credentials).encode())
        while client.recv(1):
            time.sleep(1)


def guesser(number: int, port: int, _credentials: str) -> None:
    """Try passwords, each from another address."""
    with _connected(number, port) as client:
        guess = base64.b64encode(f"prometheus:{number}-{time.monotonic_ns()}".encode()).decode()
        client.sendall(HEAD.format(path="/metrics", credentials=guess).encode())
        client.recv(1000)


def explainer(number: int, port: int, credentials: str) -> None:
    """Request an explanation that searches every target."""
    with _connected(number, port) as client:
        path = f"/-/explain?selector=%7Bx%3D~%22.%2A{number}%22%7D&limit=1000"
        client.sendall(HEAD.format(path=path, credentials=credentials).encode())
        while client.recv(2**16):
            pass


def sharder(number: int, port: int, credentials: str) -> None:
    """Request a shard that nobody requested lately, so that the list is divided anew."""
    with _connected(number, port) as client:
        of = 1 + (number + time.monotonic_ns()) % 1024
        client.sendall(HEAD.format(path=f"/sd?shard=0&of={of}", credentials=credentials).encode())
        while client.recv(2**16):
            pass


ATTACKS: dict[str, Attack] = {attack.__name__: attack for attack in (slow, reader, guesser, explainer, sharder)}


def _connected(number: int, port: int, *, handshake: bool = True) -> socket.socket:
    # One of the many loopback addresses, or the scraper's.
    many = f"127.{1 + number // 250 % 250}.{time.monotonic_ns() % 250}.{1 + number % 250}"
    client = socket.create_connection(("127.0.0.1", port), 30, ("127.0.0.1" if ONE_ADDRESS else many, 0))
    return CONTEXT.wrap_socket(client) if HTTPS and handshake else client


def _again_and_again(attack: Attack, number: int, port: int, credentials: str) -> None:
    while True:
        with contextlib.suppress(OSError):
            attack(number, port, credentials)
        # Slow clients wait before they reconnect.
        time.sleep(1 if attack in (slow, reader) else 0.01)


def main() -> None:
    """Attack until the process is ended."""
    kind, count, port, credentials = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    threading.stack_size(2**17)
    for number in range(count):
        arguments = (ATTACKS[kind], number, port, credentials)
        threading.Thread(target=_again_and_again, args=arguments, daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
