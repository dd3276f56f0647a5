"""Who may come in, and what guessing costs."""

import base64
import threading

import bcrypt
import pytest
from serving import basic

from kuma_sd.web.application import Refused
from kuma_sd.web.server.authentication import MOST_FAILURES, Authentication

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


def test_many_at_once_with_the_right_password_have_it_checked_once(authentication: Authentication) -> None:
    header = basic("alice", "of alice")
    threads = [threading.Thread(target=authentication.check, args=(header, f"10.0.0.{index}")) for index in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert authentication.computed == 1


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


def test_what_is_remembered_is_bounded(authentication: Authentication, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kuma_sd.web.server.authentication.MOST_REMEMBERED", 10)
    for number in range(20):
        refused(authentication, basic("alice", "x"), f"address {number}")
    assert list(authentication._failures) == [f"address {number}" for number in range(10, 20)]


def test_no_password_is_in_what_is_remembered(authentication: Authentication) -> None:
    authentication.check(basic("alice", "of alice"), "1.2.3.4")
    assert b"of alice" not in next(iter(authentication._right))
    assert "of alice" not in repr(vars(authentication))
