import contextlib
import gc
import itertools
import logging
import queue
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pipeline_kit import Line
from waiting import eventually

from kuma_sd import SourceStatus
from kuma_sd.pipeline import event_delivery
from kuma_sd.pipeline.event_delivery import Events
from kuma_sd.pipeline.guard import GuardStatus
from kuma_sd.plugin.hook_implementations import Listener
from kuma_sd.telemetry.control_plane_status import HeldTargets
from kuma_sd.testing import group, publication, snapshot

Calls = list[dict[str, Any]]


def heard(calls: Calls) -> Callable[..., None]:
    """Return a listener that remembers its arguments."""
    return lambda **arguments: calls.append(arguments)


def told(hook: str, *listeners: Callable[..., object]) -> Events:
    """Return events with listeners of one hook, each in a plugin of its own."""
    return Events({hook: [Listener(f"plugin-{number}", call) for number, call in enumerate(listeners, 1)]})


def guard(targets: int, why: str = "", *, suspicious: bool = False) -> GuardStatus:
    """Return the status of a guard that holds targets."""
    return GuardStatus(HeldTargets(targets=targets, why=why, suspicious=suspicious))


@contextlib.contextmanager
def running(events: Events) -> Iterator[threading.Thread]:
    """Deliver in a thread until the block ends."""
    thread = threading.Thread(target=events.run, daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        events.close()
        thread.join(10)
        assert not thread.is_alive()


def test_each_listener_hears_each_event_in_order() -> None:
    first, second = Calls(), Calls()
    events = told("kuma_sd_connection_lost", heard(first), heard(second))
    with running(events):
        events.connection_lost("east", "it ended the stream")
        events.connection_lost("west", "refused")
    expected = [
        {"control_plane": "east", "reason": "it ended the stream"},
        {"control_plane": "west", "reason": "refused"},
    ]
    assert first == second == expected
    assert events.status.delivered == 2


def test_every_event_says_what_its_hook_promises() -> None:
    calls: list[tuple[str, dict[str, Any]]] = []

    def listener(hook: str) -> list[Listener]:
        return [Listener("plugin", lambda **arguments: calls.append((hook, arguments)))]

    hooks = (
        "kuma_sd_started",
        "kuma_sd_connected",
        "kuma_sd_hold_began",
        "kuma_sd_hold_ended",
        "kuma_sd_reloaded",
        "kuma_sd_stopping",
    )
    events = Events({hook: listener(hook) for hook in hooks})
    events.started(["east"], ["file_sd"])
    events.connected("east", SourceStatus(protocol="v1 gRPC", endpoint="kuma:5676"))
    events.holds({"east": guard(3, why="reconnected")})
    events.holds({"east": guard(0)})
    events.reloaded("")
    events.stopping()
    with running(events):
        pass
    assert calls == [
        ("kuma_sd_started", {"control_planes": ("east",), "outputs": ("file_sd",)}),
        ("kuma_sd_connected", {"control_plane": "east", "protocol": "v1 gRPC", "endpoint": "kuma:5676"}),
        ("kuma_sd_hold_began", {"control_plane": "east", "targets": 3, "reason": "reconnected", "suspicious": False}),
        ("kuma_sd_hold_ended", {"control_plane": "east"}),
        ("kuma_sd_reloaded", {"error": ""}),
        ("kuma_sd_stopping", {}),
    ]


def test_a_hold_is_told_again_when_it_becomes_suspicious_and_ends_once() -> None:
    calls = Calls()
    events = Events({hook: [Listener("p", heard(calls))] for hook in ("kuma_sd_hold_began", "kuma_sd_hold_ended")})
    for status in (guard(1), guard(2), guard(9, suspicious=True), guard(1), guard(0), guard(0)):
        events.holds({"east": status})
    events.holds({"east": guard(1)})
    events.holds({})
    with running(events):
        pass
    assert [(call.get("targets"), call.get("suspicious")) for call in calls] == [
        (1, False),
        (9, True),
        (None, None),
        (1, False),
        (None, None),
    ]


def test_a_listener_that_raises_is_logged_once_for_each_kind_and_stops_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    errors = [ValueError("first"), ValueError("second"), SystemExit(3), ValueError("third")]
    raising, calls = iter(errors), Calls()

    def fail(error: str) -> None:
        del error
        raise next(raising)

    events = told("kuma_sd_reloaded", fail, heard(calls))
    with running(events):
        for _ in errors:
            events.reloaded("")
    (failed,) = events.status.failures
    assert len(calls) == failed.calls == 4
    assert (failed.plugin, failed.hook, failed.reason) == ("plugin-1", "kuma_sd_reloaded", "ValueError: third")
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert lines == [
        'a plugin\'s hook fails plugin=plugin-1 hook=kuma_sd_reloaded reason="ValueError: first"',
        'a plugin\'s hook fails plugin=plugin-1 hook=kuma_sd_reloaded reason="SystemExit: 3"',
    ]


def test_a_listener_that_blocks_delays_nobody_and_loses_only_events(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(event_delivery, "MOST_WAITING", 3)
    began, end, calls = threading.Event(), threading.Event(), Calls()

    def block(error: str) -> None:
        del error
        began.set()
        end.wait(10)

    events = told("kuma_sd_reloaded", block, heard(calls))
    with running(events):
        events.reloaded("0")
        assert began.wait(10)
        for number in range(1, 10):
            events.reloaded(str(number))
        status = events.status
        assert (status.dropped, status.delivered) == (6, 0)
        assert status.dropped_at is not None
        assert status.call is not None
        assert status.call[:2] == ("plugin-1", "kuma_sd_reloaded")
        end.set()
    assert [call["error"] for call in calls] == ["0", "1", "2", "3"]
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        "events are dropped because a plugin's hook does not keep up plugin=plugin-1 hook=kuma_sd_reloaded"
    ]


def test_a_listener_that_blocks_keeps_only_its_own_thread_after_the_end() -> None:
    began, end = threading.Event(), threading.Event()

    def block(error: str) -> None:
        del error
        began.set()
        end.wait(10)

    events = told("kuma_sd_reloaded", block)
    with running(events) as thread:
        events.reloaded("")
        assert began.wait(10)
        events.close()
        assert thread.is_alive()
        end.set()


def test_after_close_no_more_is_delivered_than_there_is_time_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_delivery, "LAST_CALLS_SECONDS", -1.0)
    calls = Calls()
    events = told("kuma_sd_reloaded", heard(calls))
    events.reloaded("")
    events.close()
    events.run()
    assert calls == []


def test_what_nobody_listens_to_costs_nothing() -> None:
    events = Events()
    events.published("file_sd", None, publication("backend-01"))
    events.reloaded("")
    events.close()
    events.run()
    assert events.status.delivered == 0


def test_a_published_list_comes_with_its_change() -> None:
    calls = Calls()
    events = told("kuma_sd_published", heard(calls))
    first, second = publication("a", "b"), publication("b", "c")
    with running(events):
        events.published("file_sd", None, first)
        eventually(lambda: len(calls) == 1, "the first is delivered")
        events.published("file_sd", first, second)
    assert [(call["output"], str(call["change"])) for call in calls] == [
        ("file_sd", "2 added, 0 removed, 0 changed"),
        ("file_sd", "1 added, 1 removed, 0 changed"),
    ]
    assert calls[1]["publication"] is second


def test_publications_that_wait_are_taken_together_for_each_output() -> None:
    calls = Calls()
    events = told("kuma_sd_published", heard(calls))
    names = [publication("a"), publication("a", "b"), publication("b"), publication("b", "c")]
    events.published("yaml", None, names[0])
    for before, after in itertools.pairwise(names):
        events.published("json", before, after)
    with running(events):
        pass
    assert [(call["output"], str(call["change"])) for call in calls] == [
        ("yaml", "1 added, 0 removed, 0 changed"),
        ("json", "2 added, 1 removed, 0 changed"),
    ]
    assert calls[1]["publication"] is names[-1]


def test_what_is_published_again_is_no_news() -> None:
    calls = Calls()
    events = told("kuma_sd_published", heard(calls))
    events.published("file_sd", publication("a"), publication("a"))
    with running(events):
        pass
    assert calls == []
    assert events.status.delivered == 0


def test_a_publication_is_kept_no_longer_than_its_listener_runs() -> None:
    calls: queue.SimpleQueue[str] = queue.SimpleQueue()
    events = told("kuma_sd_published", lambda output, **_rest: calls.put(output))
    with running(events):
        kept = [publication(*(group(f"{number}") for number in range(place))) for place in (3, 4)]
        forgotten = [weakref.ref(each) for each in kept]
        events.published("file_sd", *kept)
        assert calls.get(timeout=10) == "file_sd"
        del kept
        eventually(lambda: gc.collect() >= 0 and [each() for each in forgotten] == [None, None], "both are free")


def test_others_listen_after_a_reload() -> None:
    before, after = Calls(), Calls()
    events = told("kuma_sd_reloaded", heard(before))
    with running(events):
        events.reloaded("1")
        eventually(lambda: len(before) == 1, "the first is delivered")
        events.replace_listeners({"kuma_sd_reloaded": [Listener("other", heard(after))]})
        events.reloaded("2")
    assert [call["error"] for call in before + after] == ["1", "2"]


def test_the_pipeline_tells_when_a_hold_begins_and_ends() -> None:
    calls = Calls()
    events = Events({hook: [Listener("p", heard(calls))] for hook in ("kuma_sd_hold_began", "kuma_sd_hold_ended")})
    line = Line(events=events)
    line.step(snapshot("a", "b", "c"))
    line.step(snapshot("a"), now=2.0)
    line.accept(now=3.0)
    with running(events):
        pass
    assert [call["control_plane"] for call in calls] == ["only", "only"]
    assert calls[0]["targets"] == 2
    assert calls[0]["suspicious"]
    assert "targets" not in calls[1]
