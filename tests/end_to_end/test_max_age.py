"""The age of what was published goes on over restarts; the wall clock of the daemon moves while it is stopped."""

from stage import MANY, Kuma, Stage

from kuma_sd.simulator import Dataplane

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR

DROPPED = "not connected for longer than max-age; its targets were dropped"


def published_and_stopped(stage: Stage, east: Kuma, **options: str) -> None:
    """Publish what a control plane has, and stop."""
    stage.settings(east.url, max_age="1h", **options)
    stage.move_clock(0)
    with stage.running() as daemon:
        stage.becomes(*MANY)
        daemon.stop()


def test_restarts_more_often_than_max_age_do_not_keep_targets_for_ever(stage: Stage, east: Kuma) -> None:
    published_and_stopped(stage, east, start_wait="1s")
    east.close()
    for stopped_for in (30 * MINUTE, 55 * MINUTE):
        stage.move_clock(stopped_for)
        with stage.running() as daemon:
            daemon.wait_for_line("connection failed")
            assert stage.names() == MANY
            daemon.stop()
    stage.move_clock(65 * MINUTE)
    with stage.running() as daemon:
        daemon.wait_for_line(DROPPED)
        stage.becomes()


def test_after_a_long_stop_expired_targets_are_not_published_for_another_max_age(stage: Stage, east: Kuma) -> None:
    published_and_stopped(stage, east, start_wait="1s")
    east.close()
    stage.move_clock(DAY)
    with stage.running() as daemon:
        daemon.wait_for_line(DROPPED)
        stage.becomes()
        daemon.stop()
    with stage.running() as daemon:
        daemon.wait_for_line("connection failed")
        assert stage.names() == []
        east.start()
        stage.becomes(*MANY)


def test_after_a_long_stop_a_control_plane_that_answers_keeps_its_targets(stage: Stage, east: Kuma) -> None:
    published_and_stopped(stage, east)
    stage.move_clock(DAY)
    with stage.never_without(*MANY), stage.running() as daemon:
        daemon.wait_for_line("connected")
        east.world.add(Dataplane("web-new", labels={"env": "prod", "team": "web"}))
        stage.becomes(*MANY, "web-new")


def test_after_a_long_stop_a_control_plane_that_answers_late_keeps_its_targets(stage: Stage, east: Kuma) -> None:
    published_and_stopped(stage, east, start_wait="5m")
    east.close()
    stage.move_clock(DAY)
    with stage.never_without(*MANY), stage.running() as daemon:
        daemon.wait_for_line("connection failed")
        east.start()
        daemon.wait_for_line("connected")
        east.world.add(Dataplane("web-new", labels={"env": "prod", "team": "web"}))
        stage.becomes(*MANY, "web-new")
