import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from kuma_sd import Snapshot, SourceError, SourceStatus
from kuma_sd.core.errors import ConnectionClosedError
from kuma_sd.core.mailbox import Mailbox
from kuma_sd.core.model import ContactLost, SourceEvent
from kuma_sd.pipeline import backoff, connection_log
from kuma_sd.pipeline.connection_log import ConnectionLog
from kuma_sd.pipeline.source_worker import SourceWorker
from kuma_sd.testing import snapshot

Step = Snapshot | Exception


class Scripted:
    """Each connection follows one list of steps; after the last it stays open until closed."""

    def __init__(self, *connections: list[Step]) -> None:
        self._connections = iter(connections)
        self._closed = threading.Event()
        self.status = SourceStatus(protocol="v1 HTTP", why="this Kuma serves no gRPC", endpoint="kuma:5676")
        self.exhausted = threading.Event()

    def __iter__(self) -> Iterator[Snapshot]:
        steps = next(self._connections, None)
        if steps is None:
            self.exhausted.set()
            self._closed.wait()
            return
        for step in steps:
            if isinstance(step, Exception):
                raise step
            yield step

    def close(self) -> None:
        self._closed.set()


def events(*connections: list[Step]) -> list[SourceEvent]:
    """Run a worker over a script and return what it handed over."""
    source, seen = Scripted(*connections), list[SourceEvent]()
    run_over(source, SourceWorker("east", "east", source, seen.append))
    return seen


def run_over(source: Scripted, worker: SourceWorker) -> None:
    """Run a worker, which waits nowhere, until its script is over."""
    worker._backoff._first = worker._backoff._longest = 0.0
    running = threading.Thread(target=worker.run)
    running.start()
    assert source.exhausted.wait(10)
    worker.close()
    running.join(10)


def began(seen: list[SourceEvent]) -> list[float]:
    return [event.connected for event in seen if isinstance(event, Snapshot)]


def test_the_unreadable_resources_of_the_newest_snapshot_are_counted() -> None:
    worker = SourceWorker("east", "east", Scripted([snapshot("a", unreadable=[b"x", b"y"])]), lambda _event: None)
    worker._connection()
    assert worker.status.unreadable == 2


GONE = SourceError("gone")
CLOSED, ENDED = ConnectionClosedError("reset"), ConnectionClosedError("ended", orderly=True)


@pytest.mark.parametrize("end", [[CLOSED], [ENDED], []])
def test_a_closed_connection_that_is_made_again_at_the_first_attempt_goes_on_as_the_same_contact(
    end: list[Step],
) -> None:
    seen = events(
        [snapshot("a", connected=1.0), *end], [snapshot("a", connected=2.0), *end], [snapshot("b", connected=3.0)]
    )
    assert began(seen) == [1.0, 1.0, 1.0]
    assert len(seen) == 3


@pytest.mark.parametrize(("end", "since"), [([CLOSED], [1.0, 2.0, 3.0]), ([ENDED], [1.0] * 3), ([], [1.0] * 3)])
def test_it_is_told_since_when_no_connection_was_closed_in_the_middle(end: list[Step], since: list[float]) -> None:
    seen = events(*([snapshot("a", connected=number), *end] for number in (1.0, 2.0, 3.0)))
    assert [event.unbroken_since for event in seen if isinstance(event, Snapshot)] == since


def test_an_answer_that_is_wrong_loses_the_contact_however_fast_a_right_one_follows() -> None:
    # As that of a gateway whose control plane restarts.
    first, lost, second = events([snapshot("a", connected=1.0), GONE], [snapshot("a", connected=2.0)])
    assert isinstance(first, Snapshot)
    assert isinstance(lost, ContactLost)
    assert isinstance(second, Snapshot)
    assert second.connected >= lost.at > first.connected


def test_an_attempt_that_fails_loses_the_contact_once_and_the_next_one_begins_later() -> None:
    seen = events([snapshot("a", connected=1.0), GONE], [GONE], [GONE], [snapshot("b", connected=2.0)])
    first, lost, second = seen
    assert isinstance(first, Snapshot)
    assert isinstance(lost, ContactLost)
    assert isinstance(second, Snapshot)
    assert lost.control_plane == "east"
    assert first.connected == 1.0
    assert second.connected >= lost.at > 2.0


def test_whoever_was_never_in_contact_does_not_lose_it() -> None:
    assert began(events([GONE], [GONE], [snapshot("a", connected=5.0)])) == [5.0]


def test_all_snapshots_of_a_connection_have_the_beginning_of_the_contact() -> None:
    seen = events([snapshot("a", connected=1.0), snapshot("b", connected=7.0)])
    assert began(seen) == [1.0, 1.0]


def pauses(*connections: list[Step], lasted: float, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how often the pause after each connection was doubled, if one has lasted after so many seconds."""
    monkeypatch.setattr(backoff, "STEADY_SECONDS", lasted)
    source = Scripted(*connections)
    worker = SourceWorker("east", "", source, lambda _event: None)
    doubled: list[int] = []
    next_wait = worker._backoff.next

    def noted(at_least: float = 0.0) -> float:
        doubled.append(worker._backoff._tries)
        return next_wait(at_least)

    monkeypatch.setattr(worker._backoff, "next", noted)
    run_over(source, worker)
    return doubled


def test_short_connections_do_not_end_the_back_off(monkeypatch: pytest.MonkeyPatch) -> None:
    connections: list[list[Step]] = [[snapshot("a"), GONE] for _ in range(4)]
    assert pauses(*connections, lasted=1000.0, monkeypatch=monkeypatch) == [0, 1, 2, 3]


def test_a_connection_that_lasted_does(monkeypatch: pytest.MonkeyPatch) -> None:
    connections: list[list[Step]] = [[snapshot("a"), GONE] for _ in range(4)]
    assert pauses(*connections, lasted=0.0, monkeypatch=monkeypatch) == [0, 0, 0, 0]


def test_an_outage_that_is_over_does_not_make_the_next_one_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    connections: list[list[Step]] = [[GONE], [GONE], [GONE], [snapshot("a"), GONE], [GONE]]
    assert pauses(*connections, lasted=1000.0, monkeypatch=monkeypatch) == [0, 1, 2, 0, 1]


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage().replace(" control_plane=east", "") for record in caplog.records]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[ConnectionLog]:
    caplog.set_level("INFO")
    status = SourceStatus(protocol="v1 HTTP", why="this Kuma serves no gRPC", endpoint="kuma:5676")
    made = ConnectionLog("east", lambda: status)
    yield made
    made.close()


CONNECTED = 'connected protocol="v1 HTTP" endpoint=kuma:5676 reason="this Kuma serves no gRPC"'
LOST = "connection failed; trying again, targets stay as they are reason=gone"


def test_a_connection_is_logged_with_its_protocol_and_why(log: ConnectionLog, caplog: pytest.LogCaptureFixture) -> None:
    log.made()
    assert said(caplog) == [CONNECTED]


def test_a_connection_that_breaks_again_and_again_is_logged_in_four_lines(
    log: ConnectionLog, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(50):
        log.made()
        log.lost("gone", None)
        log.lost("still gone", None)
    assert said(caplog)[:3] == [CONNECTED, LOST, CONNECTED]
    assert len(said(caplog)) == 4
    assert said(caplog)[3].startswith("connection fails again and again")


def test_after_calm_a_connection_that_broke_again_and_again_is_said_to_be_made(
    log: ConnectionLog, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        log.made()
        log.lost("gone", None)
    monkeypatch.setattr(connection_log, "CALM_SECONDS", 0.1)
    log.made()
    wait_until(lambda: len(said(caplog)) == 5)
    assert said(caplog)[4] == CONNECTED
    log.lost("gone", None)
    assert said(caplog)[5] == LOST, "it is worth a line again"


def wait_until(so: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(1000):
        if so():
            return
        waiting.wait(0.01)
    raise AssertionError


def test_the_news_of_a_source_go_to_whoever_made_the_worker() -> None:
    mailbox: Mailbox[SourceEvent] = Mailbox()
    worker = SourceWorker("east", "east", Scripted([snapshot("a")]), partial(mailbox.put, "source"))
    running = threading.Thread(target=worker.run)
    running.start()
    assert mailbox.take(5) == {"source": snapshot("a")}
    worker.close()
    running.join(10)
