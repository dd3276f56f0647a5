"""Worker threads for requests, in two queues: long requests never delay prompt ones."""

import queue
import threading
import time
from collections.abc import Callable

Job = Callable[[], None]


class Lanes:
    """Runs prompt jobs in several threads, and long jobs one after the other in a further thread.

    Args:
        name: the threads' name.
        threads: number of threads for prompt jobs.
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
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def put(self, job: Job, *, takes_long: bool) -> None:
        """Queue a job."""
        (self._long if takes_long else self._prompt).put(job)

    def close(self, timeout: float) -> None:
        """Wait until all jobs are done, or for a timeout in seconds, and end the threads."""
        for _ in self._threads:
            self._prompt.put(None)
        self._long.put(None)
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))


def _work(lane: "queue.SimpleQueue[Job | None]") -> None:
    while (job := lane.get()) is not None:
        job()
        # Free a large response before waiting for the next job.
        del job
