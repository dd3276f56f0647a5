"""What counts as one client, and who gives way."""

from dataclasses import dataclass

import pytest

from kuma_sd.web.server.limits import MODEST, ConnectionLimits, Standing, client_of, who_gives_way


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
    standing: Standing = Standing.ASKING


LIMITS = ConnectionLimits(connections=4)


def of(standing: Standing, number: int) -> list[Connection]:
    """Return connections of different clients, the oldest first."""
    return [Connection(f"{standing.name} {since}", float(since), standing) for since in range(number)]


def test_of_requests_that_do_not_come_the_oldest_gives_way() -> None:
    asking = of(Standing.ASKING, 4)
    assert who_gives_way([*asking[2:], *asking[:2]], LIMITS) == asking[:1]


def test_a_client_with_very_many_gives_way_first() -> None:
    greedy = [Connection("greedy", 10.0 + number) for number in range(MODEST + 1)]
    assert who_gives_way([*of(Standing.ASKING, 9), *greedy], LIMITS) == greedy[:1]


def test_a_client_with_several_does_not_give_way_to_an_attacker_with_one_from_each_of_many_addresses() -> None:
    honest = [Connection("honest", 10.0 + number) for number in range(MODEST)]
    attackers = of(Standing.ASKING, 9)
    assert who_gives_way([*honest, *attackers], LIMITS) == attackers[:1]


def test_a_client_that_is_answered_much_is_not_taken_for_one_that_does_not_ask() -> None:
    answering = [Connection("proxy", 0.0, Standing.ANSWERING) for _ in range(MODEST)]
    asking = [*of(Standing.ASKING, MODEST), Connection("proxy", 100.0)]
    assert who_gives_way([*answering, *asking], LIMITS) == asking[:1]


def test_those_whose_answers_are_sent_give_way_before_all_others() -> None:
    done = [Connection("done", 100.0, Standing.DONE)]
    assert who_gives_way([*done, *of(Standing.ASKING, 9), *of(Standing.IDLE, 9)], LIMITS) == done


def test_requests_that_do_not_come_give_way_before_connections_that_were_answered() -> None:
    asking = of(Standing.ASKING, 5)
    assert who_gives_way([*of(Standing.IDLE, 3), *of(Standing.ANSWERING, 2), *asking], LIMITS) == asking[:1]


def test_new_clients_keep_half_of_the_room_whatever_the_others_do() -> None:
    idle, answering = of(Standing.IDLE, 3), of(Standing.ANSWERING, 3)
    assert who_gives_way([*of(Standing.ASKING, 5), *idle, *answering], LIMITS) == idle[:1]
    assert who_gives_way([*of(Standing.ASKING, 2), *answering], LIMITS) == answering[:1]


def test_of_answers_the_one_that_is_not_taken_gives_way() -> None:
    answering = of(Standing.ANSWERING, 9)
    assert who_gives_way(answering[::-1], ConnectionLimits(connections=100)) == answering[:1]


def test_in_a_flood_several_that_wait_for_nothing_give_way_together() -> None:
    asking = of(Standing.ASKING, 40)
    assert who_gives_way(asking, ConnectionLimits(connections=40)) == asking[:3]


def test_where_there_is_nobody_nobody_gives_way() -> None:
    assert who_gives_way([], LIMITS) == []
