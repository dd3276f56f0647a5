"""Run workers in threads: start them in order, stop them in reverse order, and detect every failure."""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from kuma_sd.core.errors import if_unexpected
from kuma_sd.core.logger import Logger
from kuma_sd.core.resource_limits import exhausted_resource

_log = Logger(__name__)

STOP_TIMEOUT = 0.7
"""Timeout for stopping the threads, in seconds; with the interpreter's shutdown the total stays under a second."""

RESTART_PAUSE = 1.0
"""Pause before a dead helper thread is restarted, in seconds."""


class Worker(Protocol):
    """An object that runs in its own thread."""

    def run(self) -> None:
        """Work until closed."""

    def close(self) -> None:
        """End `run` immediately, from another thread."""


class Threads:
    """The threads of a process.

    An unexpected exception in a thread ends the process: it is stored in ``failure``, and a signal wakes the main
    thread, which waits for signals.
    """

    def __init__(self) -> None:
        self._workers: list[tuple[Worker, threading.Thread]] = []
        self._changing = threading.Lock()
        self._ended = False
        self._died: list[str] = []
        self.failure: BaseException | None = None

    @property
    def running(self) -> list[Worker]:
        """The running workers, in the order of their start."""
        return [worker for worker, _ in self._workers]

    @property
    def died(self) -> list[str]:
        """The names of threads that ended with an exception."""
        return list(self._died)

    def start(self, name: str, worker: Worker) -> None:
        """Run a worker in a new thread; does nothing after all threads were stopped."""
        # Daemon threads, because a plugin may block in a call that cannot be interrupted.
        thread = threading.Thread(target=self._run, args=(worker,), name=name, daemon=True)
        with self._changing:
            if not self._ended:
                # In this order: a thread that cannot be started cannot be joined either.
                thread.start()
                self._workers.append((worker, thread))

    def stop(self, timeout: float, workers: Iterable[Worker] | None = None) -> list[str]:
        """Close workers, the last one first, and wait for them.

        Args:
            timeout: maximum wait for all of them together, in seconds.
            workers: the workers; all if None.

        Returns:
            The names of threads that are still running.
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
        """End the process also when a thread of a library or plugin dies.

        Threads of watchdog are excluded: the file watcher notices their end and starts new ones.
        """

        def died(arguments: threading.ExceptHookArgs) -> None:
            thread, error = arguments.thread, arguments.exc_value or RuntimeError("it ended without a reason")
            name = thread.name if thread else "a thread"
            _log_death("a thread died", name, error)
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
            # A BaseException such as SystemExit would end the process like a requested stop.
            self.failure = error if isinstance(error, Exception) else _unexpected(name, error)
        import signal  # noqa: PLC0415 (late, since its enumerations take long to make)

        # Signal the main thread, not the process: another thread that does not block the signal could get it.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)


class HelperThread(threading.Thread):
    """A helper thread of a plugin, which is restarted when it dies.

    Args:
        name: its name in the log.
        work: the function to run; the thread ends when it returns.
        closing: set to end the thread.
    """

    def __init__(self, name: str, work: Callable[[], None], closing: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self._work = work
        self._closing = closing

    def run(self) -> None:
        """Run the function until it returns; restart it after each exception."""
        while not self._closing.is_set():
            try:
                self._work()
            except BaseException as error:  # noqa: BLE001 (SystemExit included: a helper ends nothing)
                _log_death("a thread died and is started again", self.name, error)
                self._closing.wait(RESTART_PAUSE)
            else:
                return


def _log_death(text: str, name: str, error: BaseException) -> None:
    """Log the error that ended a thread, with its traceback unless a resource is exhausted."""
    _log.error(text, thread=name, error=if_unexpected(error), reason=exhausted_resource(error) or None)


def _unexpected(name: str, error: BaseException) -> RuntimeError:
    unexpected = RuntimeError(f"the thread {name!r} ended by {type(error).__name__}")
    unexpected.__cause__ = error
    return unexpected
