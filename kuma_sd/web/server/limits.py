"""What the clients of a listener may take, and who gives way when there are too many."""

import ipaddress
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar


@dataclass(frozen=True)
class ConnectionLimits:
    """What clients may take.

    Args:
        threads: how many requests are answered at a time, beside one that takes long.
        connections: how many may be open; it keeps descriptors for the daemon itself.
        connections_of_client: how many of them one client may have.
        silence: how long a client may neither send nor take anything, in seconds.
        request: how long a request may take to arrive, with the TLS handshake, in seconds.
        answer: how long its answer may take to be made and taken, in seconds.
    """

    threads: int = 4
    connections: int = 400
    connections_of_client: int = 100
    silence: float = 5.0
    request: float = 5.0
    answer: float = 60.0


class Occupant(Protocol):
    """A connection, as far as its place is concerned."""

    @property
    def client(self) -> str:
        """Whose it is."""

    @property
    def since(self) -> float:
        """When it began to do what it does now."""

    @property
    def waits_for_client(self) -> bool:
        """Whether it has no complete request yet."""

    @property
    def is_working(self) -> bool:
        """Whether its answer is being made."""


TOGETHER = 10
"""Which part of what a client may have is closed at once when there are too many."""

T = TypeVar("T", bound=Occupant)


def client_of(host: str) -> str:
    """Return what counts as one client: an address, or the /64 network that an IPv6 address is in.

    Whoever has one IPv6 address usually has all of its /64 (RFC 6177).
    """
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        # A unix socket has none.
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        if not address.is_loopback:
            return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def who_gives_way(connections: Collection[T], newcomer: str, limits: ConnectionLimits) -> Sequence[T]:
    """Return the connections to close so that a new one has room; none if there is room.

    One whose request is awaited goes before one whose answer is being sent or made; of these, one of the client that
    has most; of these, the one that has made no progress for longest. A client that sends its whole request at once and
    takes its answer is therefore not turned away by those that do not. Of those that are awaited, some go together, so
    that a flood of new ones costs little.

    Args:
        connections: those that are open.
        newcomer: the client of the new one.
        limits: how many there may be.
    """
    numbers = Counter(connection.client for connection in connections)
    candidates: Iterable[T]
    if numbers[newcomer] >= limits.connections_of_client:
        candidates = (connection for connection in connections if connection.client == newcomer)
    elif len(connections) >= limits.connections:
        candidates = connections
    else:
        return ()

    def use(connection: T) -> tuple[bool, bool, int, float]:
        number = numbers[connection.client]
        return not connection.waits_for_client, connection.is_working, -number, connection.since

    first, *others = sorted(candidates, key=use)[: 1 + limits.connections_of_client // TOGETHER]
    return [first, *(connection for connection in others if connection.waits_for_client)]
