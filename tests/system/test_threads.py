import signal
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from kuma_sd.system.threads import HelperThread, Threads


class Waiting:
    def __init__(self) -> None:
        self.closed = threading.Event()

    def run(self) -> None:
        self.closed.wait()

    def close(self) -> None:
        self.closed.set()


class Stuck(Waiting):
    def __init__(self) -> None:
        super().__init__()
        self.freed = threading.Event()

    def run(self) -> None:
        self.freed.wait()


class Broken(Waiting):
    def run(self) -> None:
        raise RuntimeError("out of order")


def test_stopping_ends_every_thread() -> None:
    threads, workers = Threads(), [Waiting(), Waiting()]
    for worker in workers:
        threads.start("waiting", worker)
    assert threads.stop(timeout=10) == []
    assert all(worker.closed.is_set() for worker in workers)


def test_a_thread_that_does_not_end_is_named_and_left() -> None:
    threads, stuck, waiting = Threads(), Stuck(), Waiting()
    threads.start("stuck", stuck)
    threads.start("waiting", waiting)
    assert threads.stop(timeout=0.05) == ["stuck"]
    assert waiting.closed.is_set()
    stuck.freed.set()


class Leaving(Waiting):
    def run(self) -> None:
        sys.exit()


@pytest.fixture
def woken() -> Iterator[Callable[[], bool]]:
    """Return what waits for the signal that wakes the main thread."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    yield lambda: signal.sigtimedwait({signal.SIGTERM}, 10) is not None
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def test_an_unexpected_exception_is_kept_and_wakes_the_main_thread(woken: Callable[[], bool]) -> None:
    threads = Threads()
    threads.start("broken", Broken())
    assert woken()
    assert str(threads.failure) == "out of order"
    assert threads.died == ["broken"]


def test_a_thread_that_asks_for_the_end_of_the_process_is_a_failure(woken: Callable[[], bool]) -> None:
    threads = Threads()
    threads.start("leaving", Leaving())
    assert woken()
    assert str(threads.failure) == "the thread 'leaving' ended by SystemExit"


def test_a_thread_of_somebody_else_that_dies_is_a_failure_too(
    woken: Callable[[], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    threads = Threads()
    threads.watch_others()
    threading.Thread(target=Broken().run, name="its own").start()
    assert woken()
    assert threads.died == ["its own"]


def test_nothing_is_started_once_everything_was_stopped() -> None:
    threads, waiting = Threads(), Waiting()
    threads.stop(timeout=10)
    threads.start("late", waiting)
    assert not threads.running


def live(monkeypatch: pytest.MonkeyPatch, *deaths: BaseException) -> None:
    """Run a helper that dies of each of these before it does its work."""
    monkeypatch.setattr("kuma_sd.system.threads.RESTART_PAUSE", 0.0)
    lives = iter([*deaths, None])
    done = threading.Event()

    def work() -> None:
        if error := next(lives):
            raise error
        done.set()

    HelperThread("helper", work, threading.Event()).start()
    assert done.wait(10)


def test_a_helper_that_dies_is_started_again(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    live(monkeypatch, PermissionError("denied"), SystemExit())
    assert caplog.text.count("a thread died and is started again thread=helper") == 2


def test_a_thread_that_cannot_be_started_is_not_waited_for_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    threads, waiting = Threads(), Waiting()
    threads.start("waiting", waiting)

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        threads.start("refused", Waiting())
    assert threads.stop(timeout=10) == []
    assert waiting.closed.is_set()


def test_a_helper_that_lacks_a_resource_shows_no_traceback(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    live(monkeypatch, MemoryError())
    assert 'reason="out of memory' in caplog.text
    assert "Traceback" not in caplog.text
