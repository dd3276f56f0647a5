"""Limits of a listener's clients, and which connections to close when there are too many."""

import enum
import ipaddress
from collections import Counter
from collections.abc import Collection, Sequence
from functools import lru_cache
from heapq import nsmallest
from typing import Protocol, TypeVar

import msgspec


class ConnectionLimits(msgspec.Struct, frozen=True):
    """The limits of clients.

    Args:
        threads: number of requests of one lane answered at a time; of those that take long, always one.
        connections: maximum number of connections; leaves file descriptors for the daemon itself.
        silence: maximum time without data sent or received, in seconds.
        idle: how long a connection stays open after a good response, in seconds. Longer than most scrape intervals, so
            that a connection is rarely closed at the moment when its next request arrives.
        request: maximum time to receive a request, including the TLS handshake, in seconds.
        answer: maximum time to generate and send a response, in seconds.
        hold: how long a response with ``Retry-After`` is held back, in seconds. A client that tries again at once, like
            one that guesses passwords, then costs little.
    """

    threads: int = 3
    connections: int = 1000
    silence: float = 5.0
    idle: float = 75.0
    request: float = 5.0
    answer: float = 60.0
    hold: float = 1.0


class Standing(enum.Enum):
    """What would be lost with a connection."""

    DONE = "nothing: its response is sent, or held back"
    ASKING = "a request that is not complete; TLS handshakes included"
    IDLE = "a connection that is open for another request, after a good response"
    ANSWERING = "a response"


class Occupant(Protocol):
    """The properties of a connection that decide which one to close."""

    @property
    def client(self) -> str:
        """The client, as returned by `client_of`."""

    @property
    def since(self) -> float:
        """When its client last made progress."""

    @property
    def standing(self) -> Standing:
        """What would be lost with it."""


TOGETHER = 20
"""A twentieth of the allowed connections is closed together, so that a flood of new connections costs little."""

MODEST = 10
"""Number of connections that any client may have without being closed before others. A scraper opens several at a time,
while an attacker may have one from each of a thousand addresses."""

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


def who_gives_way(connections: Collection[T], limits: ConnectionLimits) -> Sequence[T]:
    """Return the connections to close to make room for new ones; none only if there are none.

    First those that need nothing more. Then those whose request is incomplete, while they are at least half of all: a
    new client keeps its place until half as many others as there is room for have come after it, whatever the rest do.
    Then those that wait for another request. Those with a complete request only if most of all have one.

    Among connections of equal standing, those of the client with the most are closed first, if it has many, and among
    these the ones without progress for longest. So a client that sends its request at once and takes its response is
    not displaced by slow clients, from however many addresses.

    Args:
        connections: all open connections.
        limits: the limits.
    """
    standing = _whose_turn(Counter(connection.standing for connection in connections))
    candidates = [connection for connection in connections if connection.standing is standing]
    numbers = Counter(connection.client for connection in candidates)

    def use(connection: T) -> tuple[int, float]:
        return -max(numbers[connection.client], MODEST), connection.since

    together = 1 if standing is Standing.ANSWERING else 1 + limits.connections // TOGETHER
    return nsmallest(together, candidates, key=use)


def _whose_turn(numbers: Counter[Standing]) -> Standing:
    if numbers[Standing.DONE]:
        return Standing.DONE
    if numbers[Standing.ASKING] * 2 >= numbers.total():
        return Standing.ASKING
    return Standing.IDLE if numbers[Standing.IDLE] else Standing.ANSWERING
