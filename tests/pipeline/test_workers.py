import queue
import threading
from collections.abc import Iterator
from functools import partial

import pytest
from waiting import eventually

from kuma_sd import Output, OutputError, Publication, Snapshot, SourceError, SourceStatus
from kuma_sd.core.mailbox import Mailbox
from kuma_sd.core.model import SourceEvent
from kuma_sd.core.secret import Secret
from kuma_sd.pipeline.output_worker import OutputWorker
from kuma_sd.pipeline.source_worker import SourceWorker
from kuma_sd.system.threads import Threads
from kuma_sd.testing import publication, snapshot


class ScriptedSource:
    """Each connection follows one list of snapshots and errors; then it stays open until closed."""

    def __init__(self, *connections: list[Snapshot | BaseException]) -> None:
        self._connections = iter(connections)
        self._closed = threading.Event()
        self.status = SourceStatus(protocol="scripted", why="as told")

    def __iter__(self) -> Iterator[Snapshot]:
        for step in next(self._connections, []):
            if isinstance(step, BaseException):
                raise step
            yield step
        self._closed.wait()

    def close(self) -> None:
        self._closed.set()


def test_snapshots_are_handed_over(threads: Threads) -> None:
    mailbox: Mailbox[SourceEvent] = Mailbox()
    put = partial(mailbox.put, "source")
    threads.start("east", SourceWorker("east", "east", ScriptedSource([snapshot("a")]), put))
    assert mailbox.take(5) == {"source": snapshot("a")}


def test_a_lost_connection_is_made_again_and_both_are_logged_once(
    threads: Threads, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    mailbox: Mailbox[SourceEvent] = Mailbox()
    source = ScriptedSource([snapshot("a"), SourceError("gone")], [SourceError("still gone")], [snapshot("b")])
    worker = SourceWorker("east", "", source, partial(mailbox.put, "source"))
    worker._backoff._first = 0.0
    threads.start("east", worker)
    seen: list[str] = []
    while "b" not in seen:
        taken = mailbox.take(5).values()
        seen += [value.assignments[0].key.name for value in taken if isinstance(value, Snapshot)]
    threads.stop(timeout=5)
    assert worker.status.attempts == 3
    assert [record.getMessage() for record in caplog.records] == [
        'connected control_plane=east protocol=scripted reason="as told"',
        "connection failed; trying again, targets stay as they are control_plane=east reason=gone",
        'connected control_plane=east protocol=scripted reason="as told"',
    ]


@pytest.mark.parametrize("error", [ZeroDivisionError("oops"), SystemExit("oops")])
def test_an_unexpected_exception_of_a_source_is_logged_with_its_traceback_and_retried(
    error: BaseException, threads: Threads, caplog: pytest.LogCaptureFixture
) -> None:
    mailbox: Mailbox[SourceEvent] = Mailbox()
    source = ScriptedSource([error], [snapshot("a")])
    worker = SourceWorker("east", "", source, partial(mailbox.put, "source"))
    worker._backoff._first = 0.0
    threads.start("east", worker)
    assert mailbox.take(5)
    assert f"unexpected {type(error).__name__}: oops" in caplog.text
    assert "Traceback" in caplog.text


def test_what_a_source_fails_with_shows_no_secret_that_is_known(threads: Threads) -> None:
    secret, mailbox = Secret("s3cr3t/Qx7"), Mailbox[SourceEvent]()
    source = ScriptedSource([SourceError(f"cannot use 'http://user:{secret.reveal()}@host'")])
    worker = SourceWorker("east", "", source, partial(mailbox.put, "source"))
    threads.start("east", worker)
    eventually(lambda: worker.status.failing, "it failed")
    assert worker.status.failing == "cannot use 'http://user:********@host'"


def test_closing_ends_a_wait_for_the_next_attempt_at_once(threads: Threads) -> None:
    worker = SourceWorker("east", "", ScriptedSource([SourceError("down")]), lambda _event: None)
    worker._backoff._first = 1000.0
    worker._backoff._longest = 1000.0
    threads.start("east", worker)
    assert threads.stop(timeout=5) == []


class Recorder(Output):
    """An output that puts what it publishes into a queue; it fails or blocks as told."""

    def __init__(self, *errors: BaseException) -> None:
        self.published: queue.Queue[Publication] = queue.Queue()
        self.errors = list(errors)
        self.entered = threading.Event()
        self.free = threading.Event()
        self.free.set()
        self.closed = False

    def start(self) -> None: ...

    def publish(self, one: Publication) -> None:
        self.entered.set()
        self.free.wait()
        if self.errors:
            raise self.errors.pop(0)
        self.published.put(one)

    def close(self) -> None:
        self.closed = True


def running(threads: Threads, output: Recorder, min_interval: float = 0.0) -> OutputWorker:
    worker = OutputWorker("recorder", output, min_interval)
    worker._backoff._first = 0.0
    threads.start("output", worker)
    return worker


def test_an_output_gets_what_is_put_into_its_mailbox(threads: Threads) -> None:
    output = Recorder()
    worker = running(threads, output)
    worker.mailbox.put("pipeline", publication("a"))
    assert output.published.get(timeout=5) == publication("a")
    threads.stop(timeout=5)
    assert output.closed
    assert worker.status.published == publication("a")
    assert worker.status.publishing.publications == 1


@pytest.mark.parametrize("error", [OutputError("disk full"), ZeroDivisionError("disk full"), SystemExit("disk full")])
def test_a_failure_is_logged_once_and_tried_again(
    threads: Threads, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    output = Recorder(error, error)
    worker = running(threads, output)
    worker.mailbox.put("pipeline", publication("a"))
    assert output.published.get(timeout=5) == publication("a")
    threads.stop(timeout=5)
    assert worker.status.publishing.failures == 2
    assert worker.status.publishing.failing == ""
    assert caplog.text.count("publishing failed; trying again") == 1
    assert ("Traceback" in caplog.text) != isinstance(error, OutputError)


def test_after_a_blocked_publication_only_the_newest_is_published(threads: Threads) -> None:
    output = Recorder()
    output.free.clear()
    worker = running(threads, output)
    worker.mailbox.put("pipeline", publication("a"))
    assert output.entered.wait(5)
    for name in ("b", "c", "d"):
        worker.mailbox.put("pipeline", publication(name))
    output.free.set()
    assert output.published.get(timeout=5) == publication("a")
    assert output.published.get(timeout=5) == publication("d")
    assert worker.mailbox.superseded == 2


def test_a_retry_takes_the_newest(threads: Threads) -> None:
    output = Recorder(OutputError("disk full"))
    output.free.clear()
    worker = running(threads, output)
    worker.mailbox.put("pipeline", publication("a"))
    assert output.entered.wait(5)
    worker.mailbox.put("pipeline", publication("b"))
    output.free.set()
    assert output.published.get(timeout=5) == publication("b")


def test_a_shorter_interval_counts_at_once(threads: Threads) -> None:
    output = Recorder()
    worker = running(threads, output, min_interval=1000.0)
    worker.mailbox.put("pipeline", publication("a"))
    assert output.published.get(timeout=5) == publication("a")
    worker.mailbox.put("pipeline", publication("b"))
    worker.min_interval = 0.0
    assert output.published.get(timeout=5) == publication("b")


def test_an_output_that_cannot_be_closed_ends_nothing(threads: Threads, caplog: pytest.LogCaptureFixture) -> None:
    class Unclosable(Recorder):
        def close(self) -> None:
            raise SystemExit

    running(threads, Unclosable())
    assert threads.stop(timeout=5) == []
    assert threads.failure is None
    assert "an output could not be closed output=recorder" in caplog.text


def test_a_storm_is_gathered_into_one_publication_an_interval(threads: Threads) -> None:
    output = Recorder()
    worker = running(threads, output, min_interval=1000.0)
    worker.mailbox.put("pipeline", publication("a"))
    assert output.published.get(timeout=5) == publication("a")
    for name in ("b", "c"):
        worker.mailbox.put("pipeline", publication(name))
    assert worker.mailbox.superseded == 1
    assert output.published.empty()
    # Also shows that closing ends the interval at once.


def test_an_output_is_tried_again_after_the_wait_that_its_error_asks_for() -> None:
    def refuse() -> None:
        raise OutputError("too many requests", retry_after=60)

    def fail() -> None:
        raise OutputError("refused")

    worker = OutputWorker("output", Recorder(), 0.0)
    assert worker._try(refuse) == 60.0
    assert (worker._try(fail) or 0.0) <= 1.0
    assert worker._try(lambda: None) is None
