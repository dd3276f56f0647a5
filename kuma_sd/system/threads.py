"""Running objects in threads: started in order, ended in reverse, and none dies unseen."""

import signal
import threading
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from kuma_sd.core.logger import Logger

_log = Logger(__name__)

RESTART_PAUSE = 1.0
"""How long to wait before a helper thread that died is started again, in seconds."""


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
        self._changing = threading.Lock()
        self._ended = False
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
        """Run a worker in a new thread; after everything was stopped, nothing is started any more."""
        # Daemon threads, since a plugin may block in a call that nothing can cut.
        thread = threading.Thread(target=self._run, args=(worker,), name=name, daemon=True)
        with self._changing:
            if not self._ended:
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
        with self._changing:
            self._ended |= workers is None
            chosen = self.running if workers is None else list(workers)
            ending = [(worker, thread) for worker, thread in reversed(self._workers) if worker in chosen]
            self._workers = [pair for pair in self._workers if pair not in ending]
        for worker, _ in ending:
            worker.close()
        for _, thread in ending:
            thread.join(max(0.0, deadline - time.monotonic()))
        return [thread.name for _, thread in reversed(ending) if thread.is_alive()]

    def watch_others(self) -> None:
        """Let the death of a thread that somebody else started end the process as well.

        Those of watchdog are left out: the watcher of files notices, and makes new ones.
        """

        def died(arguments: threading.ExceptHookArgs) -> None:
            thread, error = arguments.thread, arguments.exc_value or RuntimeError("it ended without a reason")
            name = thread.name if thread else "a thread"
            _log.error("a thread died", thread=name, error=error)
            if not type(thread).__module__.startswith("watchdog."):
                self._fail(name, error)

        threading.excepthook = died

    def _run(self, worker: Worker) -> None:
        try:
            worker.run()
        except BaseException as error:  # noqa: BLE001 (the main thread raises it)
            self._fail(threading.current_thread().name, error)

    def _fail(self, name: str, error: BaseException) -> None:
        self._died.append(name)
        if not self.failure:
            # What is no Exception would end the process as if that had been asked for.
            self.failure = error if isinstance(error, Exception) else _unexpected(name, error)
        # To that thread, not to the process: any thread that does not block the signal could get it then.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)


class HelperThread(threading.Thread):
    """A thread that is started again when it dies, for what a plugin does beside.

    Args:
        name: what it is called in the log.
        work: what it does, until it returns.
        closing: set once it shall end.
    """

    def __init__(self, name: str, work: Callable[[], None], closing: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self._work = work
        self._closing = closing

    def run(self) -> None:
        """Work until it is done, however often it dies meanwhile."""
        while not self._closing.is_set():
            try:
                self._work()
            except BaseException as error:  # noqa: BLE001 (SystemExit included: a helper ends nothing)
                _log.error("a thread died and is started again", thread=self.name, error=error)
                self._closing.wait(RESTART_PAUSE)
            else:
                return


def _unexpected(name: str, error: BaseException) -> RuntimeError:
    unexpected = RuntimeError(f"the thread {name!r} ended by {type(error).__name__}")
    unexpected.__cause__ = error
    return unexpected
