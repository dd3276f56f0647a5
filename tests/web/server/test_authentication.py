"""Who may come in, and what guessing costs."""

import base64
import queue
import threading
from collections.abc import Mapping

import bcrypt
import pytest
from serving import basic

from kuma_sd.web.application import Refused
from kuma_sd.web.server.authentication import MOST_CHECKED_AT_ONCE, MOST_REMEMBERED, Authentication, KnownPasswords
from kuma_sd.web.server.failed_logins import MOST_FAILURES

USERS = {name: bcrypt.hashpw(f"of {name}".encode(), bcrypt.gensalt(4)) for name in ("alice", "böb")}


def refused(authentication: Authentication, header: str, address: str = "1.2.3.4") -> Refused:
    with pytest.raises(Refused) as caught:
        authentication.check(header, address)
    return caught.value


@pytest.fixture
def authentication() -> Authentication:
    return Authentication(USERS, clock=lambda: 0.0)


@pytest.mark.parametrize("user", USERS)
def test_the_right_password_is_checked_once(authentication: Authentication, user: str) -> None:
    for _ in range(3):
        authentication.check(basic(user, f"of {user}"), "1.2.3.4")
    assert authentication.computed == 1


class Slow(Authentication):
    """Compares a password only when it is told to, like one with a high cost."""

    def __init__(self, users: Mapping[str, bytes]) -> None:
        super().__init__(users, clock=lambda: 0.0)
        self.began, self.go_on = threading.Semaphore(0), threading.Event()

    def _is_right(self, user: str, password: bytes) -> bool:
        self.began.release()
        assert self.go_on.wait(30)
        return super()._is_right(user, password)


def test_while_passwords_are_computed_known_ones_pass_and_others_are_told_to_come_again() -> None:
    authentication = Slow(USERS)
    authentication.go_on.set()
    authentication.check(basic("alice", "of alice"), "1.2.3.4")
    authentication.go_on.clear()
    outcomes: queue.SimpleQueue[int] = queue.SimpleQueue()
    guessing = [
        threading.Thread(target=lambda header: outcomes.put(refused(authentication, header).status), args=(guess,))
        for guess in [basic("alice", str(number)) for number in range(MOST_CHECKED_AT_ONCE + 3)]
    ]
    for thread in guessing:
        thread.start()
    # The three for whom there is no place are told so while the others wait.
    assert [outcomes.get(timeout=30) for _ in range(3)] == [503] * 3
    authentication.check(basic("alice", "of alice"), "1.2.3.4")
    authentication.go_on.set()
    for thread in guessing:
        thread.join()
    assert [outcomes.get() for _ in range(MOST_CHECKED_AT_ONCE)] == [401] * MOST_CHECKED_AT_ONCE


def test_two_at_once_with_the_same_right_password_have_it_computed_once() -> None:
    authentication = Slow(USERS)
    passed: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def ask() -> None:
        authentication.check(basic("alice", "of alice"), "1.2.3.4")
        passed.put(True)  # noqa: FBT003 (its only argument)

    asking = [threading.Thread(target=ask) for _ in range(2)]
    for thread in asking:
        thread.start()
    assert authentication.began.acquire(timeout=30)
    authentication.go_on.set()
    for thread in asking:
        thread.join()
    assert passed.qsize() == 2
    assert authentication.computed == 1


def test_a_network_of_ipv6_counts_as_one_client(authentication: Authentication) -> None:
    for number in range(MOST_FAILURES):
        assert refused(authentication, basic("alice", "x"), f"2001:db8::{number:x}:1").status == 401
    assert refused(authentication, basic("alice", "x"), "2001:db8::ffff").status == 429
    assert refused(authentication, basic("alice", "x"), "2001:db8:0:1::1").status == 401


def test_an_unknown_user_costs_as_much_as_the_most_expensive_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap, dear = (bcrypt.hashpw(b"x", bcrypt.gensalt(cost)) for cost in (4, 5))
    compared: list[bytes] = []
    right = bcrypt.checkpw

    def compare(password: bytes, hashed: bytes) -> bool:
        compared.append(hashed)
        return right(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", compare)
    authentication = Authentication({"cheap": cheap, "dear": dear})
    assert refused(authentication, basic("nobody", "y")).status == 401
    assert compared[0][:7] == dear[:7]


def test_a_new_configuration_keeps_what_was_right_as_far_as_the_hash_is_the_same() -> None:
    first = Authentication(USERS)
    for user in USERS:
        first.check(basic(user, f"of {user}"), "1.2.3.4")
    second = Authentication(USERS | {"alice": bcrypt.hashpw(b"new", bcrypt.gensalt(4))})
    second.remember(first)
    second.check(basic("böb", "of böb"), "1.2.3.4")
    assert second.computed == 0
    assert refused(second, basic("alice", "of alice")).status == 401


@pytest.mark.parametrize(
    "header",
    [
        *("", "Basic", "Basic ", "Basic !!!", "Bearer abc", "Basic YWxpY2U=", "Digest username=alice"),
        "Basic " + base64.b64encode(b"\xff:x").decode(),
    ],
)
def test_who_says_nothing_that_is_understood_is_asked_and_costs_nothing(
    authentication: Authentication, header: str
) -> None:
    refusal = refused(authentication, header)
    assert refusal.status == 401
    assert refusal.headers["WWW-Authenticate"].startswith("Basic realm=")
    assert authentication.computed == 0


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("alice", "of böb"),
        ("alice", ""),
        ("alice", "of alice\0"),
        ("carol", "of alice"),
        ("", ""),
        ("alice", "x" * 1000),
    ],
)
def test_a_wrong_password_and_an_unknown_user_look_alike_and_cost_the_same(
    authentication: Authentication, user: str, password: str
) -> None:
    refusal = refused(authentication, basic(user, password))
    assert (refusal.status, str(refusal)) == (401, "the user or the password is wrong")
    assert authentication.computed == 1


def test_a_password_that_is_longer_than_bcrypt_takes_counts_as_far_as_it_does() -> None:
    long = "x" * 72
    authentication = Authentication({"alice": bcrypt.hashpw(long.encode(), bcrypt.gensalt(4))})
    authentication.check(basic("alice", long + "y"), "1.2.3.4")


def test_guessing_is_slowed_down_for_its_address_alone() -> None:
    now = [100.0]
    authentication = Authentication(USERS, clock=lambda: now[0])
    for attempt in range(MOST_FAILURES):
        assert refused(authentication, basic("alice", str(attempt))).status == 401
    refusal = refused(authentication, basic("alice", "of alice"))
    assert (refusal.status, refusal.headers["Retry-After"]) == (429, "6")
    assert authentication.computed == MOST_FAILURES
    authentication.check(basic("alice", "of alice"), "5.6.7.8")
    # Who is known already gets in from there, too.
    authentication.check(basic("alice", "of alice"), "1.2.3.4")
    assert refused(authentication, basic("böb", "x")).status == 429
    now[0] += 5
    assert refused(authentication, basic("böb", "x")).status == 401
    assert refused(authentication, basic("böb", "x")).status == 429


def test_the_number_of_remembered_passwords_is_bounded() -> None:
    known = KnownPasswords()
    for number in range(MOST_REMEMBERED + 1):
        known.add(str(number).encode())
    assert [token in known for token in (b"0", b"1", str(MOST_REMEMBERED).encode())] == [False, True, True]


def test_no_password_is_in_what_is_remembered(authentication: Authentication) -> None:
    authentication.check(basic("alice", "of alice"), "1.2.3.4")
    assert "of alice" not in repr(vars(authentication)) + repr(vars(authentication.known))
