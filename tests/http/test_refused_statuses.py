import email.utils
import time

import pytest

from kuma_sd import Endpoint, HttpResponse, refused
from kuma_sd.http.refused_statuses import retry_after


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("17", 17), ("0", 0), ("²", 0), ("१७", 0), ("-5", 0), ("1.5", 0), ("soon", 0), ("", 0), ("9" * 400, float("inf"))],
)
def test_how_long_to_stay_away_is_a_number_or_nothing(text: str, seconds: float) -> None:
    assert retry_after(text) == seconds


def test_how_long_to_stay_away_may_be_a_date() -> None:
    assert 50 < retry_after(email.utils.formatdate(time.time() + 60, usegmt=True)) <= 60
    assert retry_after(email.utils.formatdate(time.time() - 60, usegmt=True)) == 0


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_is_busy_says_how_long(status: int) -> None:
    assert refused(HttpResponse(status, {"Retry-After": "17"}, bytearray())).retry_after == 17


ASKED = Endpoint("gateway", 80)


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://gateway/kuma", "https://gateway:443"),
        ("https://GATEWAY:8443/?token=s3cr3t", "https://gateway:8443"),
        ("https://user:s3cr3t@gateway/?token=s3cr3t", "https://gateway:443"),
        ("http://gateway/s3cr3t", "another path"),
        ("https://s3cr3t.elsewhere/", "another server, which `curl -I` shows"),
        ("https://s3cr3t@elsewhere@x/", "another server, which `curl -I` shows"),
        ("/s3cr3t", "another path"),
        ("s3cr3t:x", "another path"),
        ("", "another path"),
    ],
)
def test_a_redirect_shows_the_host_that_was_asked_or_none(location: str, shown: str) -> None:
    error = str(refused(HttpResponse(302, {"Location": location}, bytearray(), ASKED)))
    assert error == f"it redirects to {shown}; set cp-address to that"


def test_a_redirect_of_a_server_that_is_not_known_shows_no_host() -> None:
    assert "to another server, which" in str(refused(HttpResponse(302, {"Location": "https://gateway/"}, bytearray())))
