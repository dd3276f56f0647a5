import email.utils
import time

import pytest

from kuma_sd import HttpResponse, refused
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
    assert refused(HttpResponse(status, {"Retry-After": "17"}, b"")).retry_after == 17


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://gateway/kuma", "'https://gateway/kuma'"),
        ("https://user:s3cr3t@gateway/?token=s3cr3t", "'https://********@gateway/?********'"),
        ("/login", "another place"),
        ("", "another place"),
    ],
)
def test_where_a_redirect_leads_is_shown_without_secrets(location: str, shown: str) -> None:
    assert f"it redirects to {shown};" in str(refused(HttpResponse(302, {"Location": location}, b"")))
