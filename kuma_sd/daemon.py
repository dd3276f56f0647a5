"""The daemon: threads that run until a signal comes."""

import logging
import signal
import time
from collections.abc import Sequence

from kuma_sd.assembly import assemble, start_outputs, title
from kuma_sd.guard import Guard
from kuma_sd.pipeline import Opening, Pipeline, Route
from kuma_sd.settings import Settings
from kuma_sd.threads import Threads
from kuma_sd.workers import OutputWorker, SourceWorker

_log = logging.getLogger(__name__)

STOPPING_SIGNALS = {signal.SIGTERM, signal.SIGINT}

STOP_TIMEOUT = 0.7
"""How long ending may take, in seconds; with the interpreter's own end it stays under a second."""


class Daemon:
    """Everything that settings describe, running.

    Args:
        settings: what to run.

    Raises:
        ConfigError: options do not fit together.
        PluginError: a plugin cannot be made.
    """

    def __init__(self, settings: Settings) -> None:
        assembly = assemble(settings)
        self.outputs = {
            one.name: OutputWorker(one.name, assembly.outputs[one.name], one.min_interval) for one in settings.outputs
        }
        routes = [Route(branch, [self.outputs[name].mailbox for name in names]) for branch, names in assembly.branches]
        opening = Opening(time.monotonic(), settings.core.start_wait, settings.core.guard_hold)
        guards = {
            one.name: Guard(title(one), settings.core.guard_max_drop, settings.core.guard_hold)
            for one in settings.control_planes
        }
        self.pipeline = Pipeline(guards, routes, opening)
        self.sources = {
            one.name: SourceWorker(title(one), one.name, assembly.sources[one.name], self.pipeline.mailbox)
            for one in settings.control_planes
        }
        self._threads = Threads()

    def run(self) -> Sequence[str]:
        """Run until SIGTERM or SIGINT; must be called in the main thread.

        Returns:
            The names of threads that could not be ended in time, because a plugin blocks.

        Raises:
            OutputError: an output cannot be started.
        """
        # Blocked before the first thread starts, and waited for: no handler ever runs, so none can meet a held lock.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING_SIGNALS)
        start_outputs({name: worker.output for name, worker in self.outputs.items()})
        self._start_threads()
        try:
            while not signal.sigtimedwait(STOPPING_SIGNALS, 60):
                pass
        finally:
            stuck = self._threads.stop(STOP_TIMEOUT)
        if self._threads.failure:
            raise self._threads.failure
        for name in stuck:
            _log.warning("%s did not end in time and was left; what it was writing may not have been published", name)
        _log.info("stopped")
        return stuck

    def _start_threads(self) -> None:
        for name, output in self.outputs.items():
            self._threads.start(f"output {name}", output)
        self._threads.start("pipeline", self.pipeline)
        for source in self.sources.values():
            self._threads.start(f"control plane {source.title}", source)
        planes = ", ".join(source.title for source in self.sources.values())
        _log.info("started: control planes %s; outputs %s", planes, ", ".join(self.outputs))
