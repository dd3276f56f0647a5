"""The threads that make answers, in two lanes: what takes long waits for nothing but its like."""

import queue
import threading
import time
from collections.abc import Callable

Job = Callable[[], None]


class Lanes:
    """Runs jobs in threads: those that are prompt in some, those that take long one after the other in one more.

    Args:
        name: what the threads are called.
        threads: how many there are for prompt jobs.
    """

    def __init__(self, name: str, threads: int) -> None:
        self._prompt: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._long: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        lanes = [*[self._prompt] * threads, self._long]
        self._threads = [
            threading.Thread(target=_work, args=(lane,), name=f"{name} {number}", daemon=True)
            for number, lane in enumerate(lanes, 1)
        ]

    def start(self) -> None:
        """Begin to work."""
        for thread in self._threads:
            thread.start()

    def put(self, job: Job, *, takes_long: bool) -> None:
        """Have a job done."""
        (self._long if takes_long else self._prompt).put(job)

    def close(self, timeout: float) -> None:
        """End when all jobs are done, or after some seconds."""
        for _ in self._threads:
            self._prompt.put(None)
        self._long.put(None)
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))


def _work(lane: "queue.SimpleQueue[Job | None]") -> None:
    while (job := lane.get()) is not None:
        job()
        # Nothing of a large answer may stay while the next job is awaited.
        del job
