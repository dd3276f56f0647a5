import pytest

from kuma_sd.web.application import Refused
from kuma_sd.web.server import failed_logins
from kuma_sd.web.server.failed_logins import MOST_FAILURES, FailedLogins


def test_a_client_waits_after_a_burst_of_wrong_passwords_and_others_do_not() -> None:
    now = [100.0]
    failed = FailedLogins(lambda: now[0])
    for _ in range(MOST_FAILURES):
        failed.check("192.0.2.1")
        failed.add("192.0.2.1")
    with pytest.raises(Refused, match="too many wrong passwords") as refused:
        failed.check("192.0.2.1")
    assert refused.value.headers["Retry-After"] == "6"
    failed.check("192.0.2.2")
    now[0] += 5
    failed.check("192.0.2.1")


def test_a_network_of_one_customer_counts_as_one_client() -> None:
    failed = FailedLogins(lambda: 0.0)
    for number in range(MOST_FAILURES):
        failed.add(f"2001:db8::{number}")
    with pytest.raises(Refused):
        failed.check("2001:db8::ffff")
    failed.check("2001:db8:0:1::1")


def test_what_is_counted_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failed_logins, "MOST_CLIENTS", 10)
    failed = FailedLogins(lambda: 0.0)
    for number in range(20):
        failed.add(f"192.0.2.{number}")
    assert list(failed._failures) == [f"192.0.2.{number}" for number in range(10, 20)]
