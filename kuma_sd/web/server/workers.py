"""Worker threads for requests, in lanes: those of one kind never delay those of another."""

import queue
import threading
import time
from collections.abc import Callable

from kuma_sd.web.paths import Lane

Job = Callable[[], None]


class Lanes:
    """Runs the jobs of each lane in threads of its own, and long jobs one after the other.

    Args:
        name: the threads' name.
        threads: number of threads of each lane with prompt jobs.
    """

    def __init__(self, name: str, threads: int) -> None:
        self._queues: dict[Lane, queue.SimpleQueue[Job | None]] = {lane: queue.SimpleQueue() for lane in Lane}
        served = [lane for lane in Lane for _ in range(1 if lane is Lane.LONG else threads)]
        self._threads = [
            threading.Thread(target=_work, args=(self._queues[lane],), name=f"{name} {number}", daemon=True)
            for number, lane in enumerate(served, 1)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def put(self, job: Job, lane: Lane) -> None:
        """Queue a job."""
        self._queues[lane].put(job)

    def close(self, timeout: float) -> None:
        """Wait until all jobs are done, or for a timeout in seconds, and end the threads."""
        for waiting in self._queues.values():
            for _ in self._threads:
                waiting.put(None)
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))


def _work(jobs: "queue.SimpleQueue[Job | None]") -> None:
    while (job := jobs.get()) is not None:
        job()
        # Free a large response before waiting for the next job.
        del job
