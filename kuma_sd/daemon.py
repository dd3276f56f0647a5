"""The daemon: threads that run until a signal comes."""

import logging
import signal
import time
from collections.abc import Callable, Sequence
from functools import partial

from kuma_sd.assembly import Assembly, assemble, start_outputs, title
from kuma_sd.errors import KumaSDError
from kuma_sd.guard import Guard
from kuma_sd.inlet import Inlet
from kuma_sd.interfaces import Output, Source
from kuma_sd.pipeline import Opening, Pipeline, Route
from kuma_sd.settings import ControlPlane, NamedOutput, Settings
from kuma_sd.threads import Threads, Worker
from kuma_sd.workers import OutputWorker, SourceWorker

_log = logging.getLogger(__name__)

STOPPING_SIGNALS = {signal.SIGTERM, signal.SIGINT}
SIGNALS = {*STOPPING_SIGNALS, signal.SIGHUP}

STOP_TIMEOUT = 0.7
"""How long ending may take, in seconds; with the interpreter's own end it stays under a second."""


class Daemon:
    """Everything that settings describe, running.

    Args:
        settings: what to run.
        reread: reads the settings again.

    Raises:
        ConfigError: options do not fit together.
        PluginError: a plugin cannot be made.
    """

    def __init__(self, settings: Settings, reread: Callable[[], Settings]) -> None:
        self._reread = reread
        self._threads = Threads()
        self._assembly = Assembly()
        self.outputs: dict[str, OutputWorker] = {}
        self.sources: dict[str, SourceWorker] = {}
        opening = Opening(time.monotonic(), settings.core.start_wait, settings.core.guard_hold)
        self.pipeline = Pipeline({}, [], opening)
        inlets, routes = self._adopt(settings, assemble(settings))
        self.pipeline.reconfigure(inlets, routes)

    def run(self) -> Sequence[str]:
        """Run until SIGTERM or SIGINT, and reload at SIGHUP; must be called in the main thread.

        Returns:
            The names of threads that could not be ended in time, because a plugin blocks.

        Raises:
            OutputError: an output cannot be started.
        """
        # Blocked before the first thread starts, and waited for: no handler ever runs, so none can meet a held lock.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        start_outputs({name: worker.output for name, worker in self.outputs.items()})
        for worker in self.outputs.values():
            worker.started = True
        try:
            self._start_threads()
            planes = ", ".join(source.title for source in self.sources.values())
            _log.info("started: control planes %s; outputs %s", planes, ", ".join(self.outputs))
            while (received := signal.sigtimedwait(SIGNALS, 60)) is None or received.si_signo == signal.SIGHUP:
                if received:
                    self.reload()
        finally:
            stuck = self._threads.stop(STOP_TIMEOUT)
        if self._threads.failure:
            raise self._threads.failure
        for name in stuck:
            _log.warning("%s did not end in time and was left; what it was writing may not have been published", name)
        _log.info("stopped")
        return stuck

    def reload(self) -> None:
        """Read the settings again; what they leave equal goes on undisturbed, and if they are bad, everything does."""
        try:
            settings = self._reread()
            assembly = assemble(settings, self._assembly)
        except KumaSDError as error:
            _log.error("the settings were not reloaded, the old ones stay: %s", error)
            return
        before = self._workers()
        inlets, routes = self._adopt(settings, assembly)
        now = self._workers()
        # An output is started after the close() of the one that it replaces, which holds what it wants.
        self._threads.stop(STOP_TIMEOUT, [one for one in before.values() if one not in now.values()])
        self.pipeline.mailbox.put("settings", partial(self.pipeline.reconfigure, inlets, routes))
        self._start_threads()
        _log.info("reloaded the settings")

    def _workers(self) -> dict[str, Worker]:
        """Return what runs in threads, by the name of the thread, in the order in which they are started."""
        workers: dict[str, Worker] = {f"output {name}": worker for name, worker in self.outputs.items()}
        workers["pipeline"] = self.pipeline
        workers.update((f"control plane {worker.title}", worker) for worker in self.sources.values())
        return workers

    def _start_threads(self) -> None:
        for name, worker in self._workers().items():
            if worker not in self._threads.running:
                self._threads.start(name, worker)

    def _adopt(self, settings: Settings, assembly: Assembly) -> tuple[dict[str, Inlet], list[Route]]:
        """Make the workers that settings ask for, keeping those that have what they need."""
        replaced, self._assembly = self._assembly, assembly
        self.outputs = {name: self._output_worker(*pair) for name, pair in assembly.outputs.items()}
        self.sources = {name: self._source_worker(*pair) for name, pair in assembly.sources.items()}
        inlets = {one.name: self._inlet(one, settings, replaced) for one, _ in assembly.sources.values()}
        routes = [
            Route(branch, {one.name: self.outputs[one.name].mailbox for one in assembly.outputs_through(path)})
            for path, branch in assembly.branches
        ]
        return inlets, routes

    def _output_worker(self, one: NamedOutput, output: Output) -> OutputWorker:
        worker = self.outputs.get(one.name)
        if not worker or worker.output is not output:
            return OutputWorker(one.name, output, one.min_interval)
        worker.min_interval = one.min_interval
        return worker

    def _source_worker(self, one: ControlPlane, source: Source) -> SourceWorker:
        worker = self.sources.get(one.name)
        if worker and worker.source is source:
            return worker
        return SourceWorker(title(one), one.name, source, self.pipeline.mailbox.put)

    def _inlet(self, one: ControlPlane, settings: Settings, replaced: Assembly) -> Inlet:
        core, worker = settings.core, self.sources[one.name]
        inlet = self.pipeline.inlets.get(one.name) or Inlet(worker.title, Guard(worker.title))
        inlet.guard.max_drop, inlet.guard.hold = core.guard_max_drop, core.guard_hold
        inlet.max_age, inlet.contact = core.max_age, lambda: worker.source.status
        before = replaced.sources.get(one.name)
        if before and before[0].address != one.address:
            # The operator says that this is another control plane: what the old one had is not held against it.
            inlet.renew()
        return inlet
