import threading
import time

from kuma_sd.system.deadline import Deadline


def test_it_acts_once_when_time_is_over() -> None:
    acted: list[float] = []
    event = threading.Event()

    def act() -> None:
        acted.append(time.monotonic())
        event.set()

    deadline, began = Deadline("test", act), time.monotonic()
    deadline.set(0.1)
    assert event.wait(10)
    assert acted[0] - began >= 0.1
    deadline.close()
    time.sleep(0.2)
    assert len(acted) == 1


def test_a_time_that_is_set_anew_or_taken_back_counts_no_more() -> None:
    event = threading.Event()
    deadline = Deadline("test", event.set)
    deadline.set(1.0)
    deadline.set(1000.0)
    deadline.set(1.0)
    deadline.set(None)
    assert not event.wait(1.3)
    deadline.set(0.0)
    assert event.wait(10)
    deadline.close()


def test_its_thread_ends_when_it_is_closed() -> None:
    deadline = Deadline("deadline under test", lambda: None)
    deadline.set(1000.0)
    deadline.close()
    assert deadline._thread
    deadline._thread.join(10)
    assert not deadline._thread.is_alive()
