"""What counts as one client, and who gives way."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pytest

from kuma_sd.web.server.limits import ConnectionLimits, Crowd, client_of


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::1"),
        ("", ""),
    ],
)
def test_an_address_or_its_network_is_a_client(host: str, client: str) -> None:
    assert client_of(host) == client


@dataclass(frozen=True, eq=False)
class Connection:
    client: str
    since: float
    importance: int = 0


LIMITS = ConnectionLimits(connections=4, connections_of_client=3)


def gives_way(
    connections: Iterable[Connection], newcomer: str, limits: ConnectionLimits = LIMITS
) -> Sequence[Connection]:
    crowd = Crowd[Connection](limits)
    for connection in connections:
        crowd.add(connection)
    return crowd.who_gives_way(newcomer)


def test_with_room_nobody_gives_way() -> None:
    assert gives_way([Connection("a", 1.0), Connection("a", 1.0)], "a") == ()


def test_who_has_gone_does_not_count() -> None:
    crowd = Crowd[Connection](LIMITS)
    connections = [Connection("a", 1.0) for _ in range(3)]
    for connection in connections:
        crowd.add(connection)
    assert len(crowd.who_gives_way("a")) == 1
    crowd.remove(connections[1])
    assert crowd.who_gives_way("a") == ()
    assert set(crowd) == {connections[0], connections[2]}


def test_a_client_with_too_many_displaces_its_own() -> None:
    connections = [Connection("a", 2.0), Connection("a", 1.0), Connection("a", 3.0)]
    assert gives_way(connections, "a") == [connections[1]]


def test_without_room_the_client_with_most_gives_way() -> None:
    connections = [Connection("a", 9.0), Connection("a", 8.0), Connection("a", 7.0), Connection("b", 1.0)]
    assert gives_way(connections, "c") == [connections[2]]


def test_an_answer_that_is_sent_is_not_cut_off_for_those_who_wait_for_nothing() -> None:
    sending = Connection("a", 1.0, importance=1)
    waiting = [Connection(client, 5.0 + number) for number, client in enumerate("bcd")]
    assert gives_way([sending, *waiting], "e") == waiting[:1]


def test_who_waits_for_an_answer_gives_way_after_all_who_have_not_asked() -> None:
    def working() -> Connection:
        return Connection("a", 0.0, importance=2)

    sending, waiting = Connection("a", 1.0, importance=1), Connection("a", 5.0)
    assert gives_way([sending, working(), waiting], "a") == [waiting]
    assert gives_way([sending, working(), working()], "a") == [sending]
    assert len(gives_way([working(), working(), working()], "a")) == 1


def test_in_a_flood_several_that_wait_for_nothing_go_together() -> None:
    limits = ConnectionLimits(connections=40, connections_of_client=40)
    waiting = [Connection("a", float(number)) for number in range(39)]
    sending = [Connection("a", 0.0, importance=1) for _ in range(40)]
    assert gives_way([*sending[:1], *waiting], "a", limits) == waiting[:5]
    assert len(gives_way(sending, "a", limits)) == 1
