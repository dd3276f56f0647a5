from collections.abc import Iterator
from pathlib import Path

import pytest
from raw_client import Client, Connect


@pytest.fixture
def data() -> Path:
    """The recorded folders."""
    return Path(__file__).parents[1] / "data"


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Opens streams, and closes them after the test."""
    clients = []

    def open_one(address: str, *args: str) -> Client:
        clients.append(Client(address, *args))
        return clients[-1]

    yield open_one
    for client in clients:
        client.close()
