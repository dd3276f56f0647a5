"""A connection on which nothing happens wakes nothing up before one of its timeouts."""

import selectors
from collections.abc import Iterable
from typing import Any

import pytest
from serving import connected, get, served
from waiting import eventually

HELLO = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def hello(_environment: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """How long each wait for events lasts at most."""
    waits: list[float | None] = []

    class Selector(selectors.DefaultSelector):
        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            waits.append(timeout)
            return super().select(timeout)

    monkeypatch.setattr(selectors, "DefaultSelector", Selector)
    return waits


def test_without_connections_the_wait_has_no_end(waits: list[float | None]) -> None:
    with served(hello) as address:
        assert get(address)
        eventually(lambda: len(waits) > 1 and waits[-1] is None, "it waits without an end")


def test_a_connection_kept_open_is_looked_at_when_its_time_is_over(waits: list[float | None]) -> None:
    with served(hello) as address, connected(address) as client:
        client.sendall(HELLO)
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
        eventually(lambda: (waits[-1] or 0) > 60, "it waits as long as a connection may stay open")
        # From here on, the request has to arrive within seconds.
        client.sendall(HELLO[:9])
        eventually(lambda: 0.3 < (waits[-1] or 0) <= 5, "it waits for the rest of the request")
