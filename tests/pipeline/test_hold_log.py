import pytest

from kuma_sd.pipeline.guard import GuardStatus
from kuma_sd.pipeline.hold_log import CALM_SECONDS, HoldLog
from kuma_sd.telemetry.control_plane_status import HeldTargets

NOTHING = GuardStatus()
FEW = GuardStatus(HeldTargets(2, why="why"), until=130.0)
MANY = GuardStatus(HeldTargets(60, why="60 of 100 vanished", suspicious=True), until=130.0)
DOUBTFUL = GuardStatus(HeldTargets(1, doubtful=1, why="why"))


@pytest.fixture(autouse=True)
def _levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records]


def test_a_few_after_a_reconnect_are_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    HoldLog("east").note(FEW, 120.0, 10.0)
    message = "targets vanished but stay; 'kuma-sd accept' releases them"
    message += " control_plane=east targets=2 stay_for=2m reason=why"
    assert lines(caplog) == [("INFO", message)]


def test_many_are_a_warning_and_so_is_what_becomes_many(caplog: pytest.LogCaptureFixture) -> None:
    log = HoldLog("east")
    log.note(FEW, 120.0, 10.0)
    log.note(MANY, 120.0, 20.0)
    log.note(MANY, 120.0, 30.0)
    assert [level for level, _ in lines(caplog)] == ["INFO", "WARNING"]


def test_the_end_is_said_after_a_calm_however_often_it_flaps(caplog: pytest.LogCaptureFixture) -> None:
    log = HoldLog("east")
    for number in range(20):
        log.note(MANY, 120.0, number * 100.0)
        log.note(NOTHING, 120.0, number * 100.0 + 50.0)
    assert len(caplog.records) == 1
    assert log.deadline == 1950.0 + CALM_SECONDS
    log.note(NOTHING, 120.0, log.deadline)
    log.note(NOTHING, 120.0, 9999.0)
    assert lines(caplog)[1:] == [("INFO", "no vanished target is held any more control_plane=east")]


def test_a_hold_that_repeats_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    log = HoldLog("east")
    for status in (FEW, NOTHING, FEW, NOTHING, FEW):
        log.note(status, 120.0, 10.0)
    assert [level for level, _ in lines(caplog)] == ["INFO", "WARNING"]


def test_doubtful_targets_are_warned_about_after_the_hold(caplog: pytest.LogCaptureFixture) -> None:
    log = HoldLog("east")
    log.note(DOUBTFUL, 120.0, 10.0)
    assert log.deadline == 130.0
    log.note(DOUBTFUL, 120.0, 130.0)
    log.note(DOUBTFUL, 120.0, 140.0)
    log.note(NOTHING, 120.0, 150.0)
    assert [level for level, _ in lines(caplog)] == ["INFO", "WARNING", "INFO"]
