import signal
import threading

from kuma_sd.system.threads import Threads


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


def test_an_unexpected_exception_is_kept_and_wakes_the_main_thread() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        threads = Threads()
        threads.start("broken", Broken())
        assert signal.sigtimedwait({signal.SIGTERM}, 10)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    assert str(threads.failure) == "out of order"
    assert threads.died == ["broken"]
