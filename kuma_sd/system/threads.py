"""Running objects in threads: started in order, ended in reverse, and none dies unseen."""

import signal
import threading
import time
from collections.abc import Iterable
from typing import Protocol


class Worker(Protocol):
    """An object that runs in a thread of its own."""

    def run(self) -> None:
        """Work until closed."""

    def close(self) -> None:
        """End run() from another thread, at once."""


class Threads:
    """The threads of a process.

    An unexpected exception in one of them ends the process: it is kept in ``failure``, and the main thread, which waits
    for signals, is woken by one.
    """

    def __init__(self) -> None:
        self._workers: list[tuple[Worker, threading.Thread]] = []
        self._died: list[str] = []
        self.failure: BaseException | None = None

    @property
    def running(self) -> list[Worker]:
        """The workers that were started and not stopped, in the order of their start."""
        return [worker for worker, _ in self._workers]

    @property
    def died(self) -> list[str]:
        """The names of threads that an exception ended; one that had nothing to do, and said so, did not die."""
        return list(self._died)

    def start(self, name: str, worker: Worker) -> None:
        """Run a worker in a new thread."""
        # Daemon threads, since a plugin may block in a call that nothing can cut.
        thread = threading.Thread(target=self._run, args=(worker,), name=name, daemon=True)
        self._workers.append((worker, thread))
        thread.start()

    def stop(self, timeout: float, workers: Iterable[Worker] | None = None) -> list[str]:
        """Close workers, the last one first, and wait for them.

        Args:
            timeout: how long to wait for all of them together, in seconds.
            workers: which; all if None.

        Returns:
            The names of threads that still run.
        """
        deadline = time.monotonic() + timeout
        chosen = self.running if workers is None else list(workers)
        ending = [(worker, thread) for worker, thread in reversed(self._workers) if worker in chosen]
        self._workers = [pair for pair in self._workers if pair not in ending]
        for worker, _ in ending:
            worker.close()
        for _, thread in ending:
            thread.join(max(0.0, deadline - time.monotonic()))
        return [thread.name for _, thread in reversed(ending) if thread.is_alive()]

    def _run(self, worker: Worker) -> None:
        try:
            worker.run()
        except BaseException as error:  # noqa: BLE001 (the main thread raises it)
            self._died.append(threading.current_thread().name)
            self.failure = self.failure or error
            # To that thread, not to the process: any thread that does not block the signal could get it then.
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
