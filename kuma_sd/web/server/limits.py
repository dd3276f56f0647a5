"""Limits of a listener's clients, and which connections to close when there are too many."""

import ipaddress
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from heapq import nsmallest
from typing import Generic, Protocol, TypeVar


@dataclass(frozen=True)
class ConnectionLimits:
    """The limits of clients.

    Args:
        threads: number of requests of one lane answered at a time; of those that take long, always one.
        connections: maximum number of connections; leaves file descriptors for the daemon itself.
        connections_of_client: maximum number of connections of one client.
        silence: maximum time without data sent or received, in seconds.
        request: maximum time to receive a request, including the TLS handshake, in seconds.
        answer: maximum time to generate and send a response, in seconds.
        hold: how long a response with ``Retry-After`` is held back, in seconds. A client that tries again at once, like
            one that guesses passwords, then costs little.
    """

    threads: int = 3
    connections: int = 400
    connections_of_client: int = 100
    silence: float = 5.0
    request: float = 5.0
    answer: float = 60.0
    hold: float = 1.0


class Occupant(Protocol):
    """The properties of a connection that decide which one to close."""

    @property
    def client(self) -> str:
        """The client, as returned by `client_of`."""

    @property
    def since(self) -> float:
        """When its current state began."""

    @property
    def importance(self) -> int:
        """How much would be lost with it; nothing if 0."""


TOGETHER = 10
"""A tenth of a client's allowed connections is closed together when there are too many."""

T = TypeVar("T", bound=Occupant)


@lru_cache(maxsize=1024)
def client_of(host: str) -> str:
    """Return the client of an address: the IPv4 address, or the /64 network of an IPv6 address.

    A client with one IPv6 address usually controls its whole /64 network (RFC 6177).
    """
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        # Unix sockets have no address.
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        if not address.is_loopback:
            return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


class Crowd(Generic[T]):
    """The open connections, counted by client.

    Args:
        limits: the limits.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._connections: set[T] = set()
        # Kept up to date, since counting takes longer than all else that a connection costs.
        self._numbers: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._connections)

    def __iter__(self) -> Iterator[T]:
        return iter(self._connections)

    def __contains__(self, connection: T) -> bool:
        return connection in self._connections

    def add(self, connection: T) -> None:
        """Add a new connection."""
        self._connections.add(connection)
        self._numbers[connection.client] += 1

    def remove(self, connection: T) -> None:
        """Remove a connection."""
        self._connections.remove(connection)
        self._numbers[connection.client] -= 1
        if not self._numbers[connection.client]:
            del self._numbers[connection.client]

    def who_gives_way(self, newcomer: str) -> Sequence[T]:
        """Return the connections to close to make room for a new one; none if there is room.

        Connections without a complete request, or with a response that is held back, are closed first, then those with
        a response in progress; among them, those of the client with the most connections; among these, the one without
        progress for longest. So slow clients cannot displace a client that sends its request at once and takes its
        response. The unimportant are closed several at a time, so that a flood of new connections costs little.

        Args:
            newcomer: the client of the new connection.
        """
        candidates: Iterable[T]
        if self._numbers[newcomer] >= self._limits.connections_of_client:
            candidates = (connection for connection in self._connections if connection.client == newcomer)
        elif len(self) >= self._limits.connections:
            candidates = self._connections
        else:
            return ()

        def use(connection: T) -> tuple[int, int, float]:
            return connection.importance, -self._numbers[connection.client], connection.since

        first, *others = nsmallest(1 + self._limits.connections_of_client // TOGETHER, candidates, key=use)
        return [first, *(connection for connection in others if not connection.importance)]
