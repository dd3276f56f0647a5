import logging

import pytest

from kuma_sd.core.logger import Logger

log = Logger("tests")


def test_an_event_shows_its_fields_where_only_text_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    log.warning("connection lost", control_plane="east", reason="Connection refused", attempts=3, protocol=None)
    assert caplog.messages == ['connection lost control_plane=east reason="Connection refused" attempts=3']


def test_a_logger_may_have_fields_for_every_line(caplog: pytest.LogCaptureFixture) -> None:
    of_instance = Logger("tests", output="summary", path="/a")
    of_instance.warning("not written")
    of_instance.warning("not written", path="/b")
    assert caplog.messages == ["not written output=summary path=/a", "not written output=summary path=/b"]


def test_an_event_below_the_level_is_not_made(caplog: pytest.LogCaptureFixture) -> None:
    class Unshowable:
        def __str__(self) -> str:
            raise AssertionError("it was shown")

    with caplog.at_level(logging.INFO):
        log.debug("looked", at=Unshowable())
    assert not caplog.messages


def test_an_error_brings_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    log.error("it failed", error=ValueError("broken"))
    (record,) = caplog.records
    assert record.exc_info
    assert "broken" in caplog.text
