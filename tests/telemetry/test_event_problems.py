import pytest

from kuma_sd.telemetry.problems import problems_of
from kuma_sd.telemetry.status import EventsStatus, HookCall, HookFailures, Status


def problems(events: EventsStatus) -> list[tuple[str, str, str]]:
    found = problems_of(Status("1.0", now=1000.0, started=0.0, events=events))
    return [(problem.kind, problem.what, problem.why) for problem in found]


@pytest.mark.parametrize(
    "events",
    [
        EventsStatus(delivered=7, failures=(HookFailures("mine", 3, "kuma_sd_published", 600.0, "ValueError: x"),)),
        EventsStatus(call=HookCall("mine", "kuma_sd_published", since=941.0)),
        EventsStatus(dropped=7, dropped_at=700.0),
    ],
)
def test_what_goes_well_or_is_over_is_no_problem(events: EventsStatus) -> None:
    assert problems(events) == []


def test_a_hook_that_takes_long_is_named() -> None:
    call = HookCall("mine", "kuma_sd_published", since=910.0)
    why = "kuma_sd_published of plugin mine takes 1m30s so far"
    assert problems(EventsStatus(call=call)) == [("hooks", "A plugin's hook is slow", why)]
    dropped = EventsStatus(dropped=7, dropped_at=990.0, call=call)
    assert problems(dropped) == [("hooks", "7 events for plugins' hooks dropped so far (10s ago)", why)]


def test_a_hook_that_failed_is_named() -> None:
    events = EventsStatus(failures=(HookFailures("mine", 1, "kuma_sd_published", 990.0, "ValueError: x"),))
    what = "Hooks of plugin mine failed 1 time (10s ago)"
    assert problems(events) == [("hooks", what, "kuma_sd_published: ValueError: x")]


def test_dropped_events_are_a_problem_also_when_the_hook_has_ended() -> None:
    dropped = EventsStatus(dropped=1, dropped_at=990.0)
    what = "1 event for plugins' hooks dropped so far (10s ago)"
    assert problems(dropped) == [("hooks", what, "a hook did not keep up")]
