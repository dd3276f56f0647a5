"""The wall clock of a running daemon jumps by a day."""

import pytest
from stage import MANY, Kuma, Stage

from kuma_sd.simulator import Dataplane

DAY = 24 * 3600


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_a_clock_that_jumps_by_a_day_takes_no_target(stage: Stage, east: Kuma, jump: float) -> None:
    stage.settings(east.url, max_age="1h", guard_hold="1h")
    stage.move_clock(0)
    with stage.running_without_loss(*MANY) as daemon:
        east.close()
        daemon.wait_for_line("connection failed")
        stage.move_clock(jump)
        # The pipeline looks at the time again for each of these.
        for number in range(1, 4):
            stage.reload(daemon, east.url, max_age="1h", guard_hold="1h", min_interval=f"{number}ms")
        east.start()
        daemon.wait_for_line("connected")
        east.world.add(Dataplane("web-new", labels={"env": "prod", "team": "web"}))
        stage.becomes(*MANY, "web-new")


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_targets_expire_after_max_age_whatever_the_clock_says(stage: Stage, east: Kuma, jump: float) -> None:
    stage.settings(east.url, max_age="2s")
    stage.move_clock(0)
    with stage.running() as daemon:
        stage.becomes(*MANY)
        stage.move_clock(jump)
        east.close()
        daemon.wait_for_line("not connected for longer than max-age; its targets were dropped")
        stage.becomes()


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_a_clock_that_is_wrong_after_a_restart_takes_no_target_at_once(stage: Stage, east: Kuma, jump: float) -> None:
    stage.settings(east.url, max_age="2s")
    with stage.running() as daemon:
        stage.becomes(*MANY)
        daemon.stop()
    east.close()
    stage.move_clock(jump)
    with stage.running() as daemon:
        daemon.wait_for_line("connection failed")
        assert stage.names() == MANY
        daemon.wait_for_line("not connected for longer than max-age; its targets were dropped")
        stage.becomes()
