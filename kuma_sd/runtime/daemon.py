"""The daemon: everything that settings describe, running in threads; the process around it is in service.py."""

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

from kuma_sd.runtime.setting_warnings import warn
from kuma_sd.runtime.builder import Assembly, assemble, start_outputs, title
from kuma_sd.pipeline.guard import Guard
from kuma_sd.pipeline.control_plane import Inlet
from kuma_sd.plugin.interfaces import Output, Source
from kuma_sd.core.model import Snapshot
from kuma_sd.pipeline.merge import Opening, Pipeline, Route
from kuma_sd.settings.loader import ControlPlane, NamedOutput, Settings
from kuma_sd.state.saver import State, snapshot_file
from kuma_sd.prometheus.sd_files import selected
from kuma_sd.system.threads import Threads, Worker
from kuma_sd.core.urls import masked
from kuma_sd.web.endpoints.published import Content, lines_of
from kuma_sd.core.text import counted
from kuma_sd.pipeline.workers import OutputWorker, SourceWorker

_log = logging.getLogger(__name__)

STOP_TIMEOUT = 0.7
"""How long ending may take, in seconds; with the interpreter's own end it stays under a second."""


class Daemon:
    """Everything that settings describe.

    Args:
        settings: what to run.

    Raises:
        ConfigError: options do not fit together.
        PluginError: a plugin cannot be made.
    """

    def __init__(self, settings: Settings) -> None:
        self.threads = Threads()
        self.outputs: dict[str, OutputWorker] = {}
        self.sources: dict[str, SourceWorker] = {}
        self.state = State(settings.core.state_dir, settings.control_planes)
        self._assembly = Assembly()
        opening = Opening(time.monotonic(), settings.core.start_wait, settings.core.guard_hold)
        self.pipeline = Pipeline({}, [], opening, self.state.mailbox.put)
        self.pipeline.reconfigure(*self._adopt(settings, assemble(settings)))
        warn(self._assembly)

    def start(self) -> None:
        """Start the outputs, restore what was saved, and start all threads.

        Raises:
            OutputError: an output cannot be started.
        """
        start_outputs({name: worker.output for name, worker in self.outputs.items()})
        for worker in self.outputs.values():
            worker.started = True
        self.state.start()
        for name, inlet in self.pipeline.inlets.items():
            if saved := self.state.restore(name):
                inlet.restore(saved)
        self._start_threads()
        planes = ", ".join(source.title for source in self.sources.values())
        _log.info("started: control planes %s; outputs %s", planes, ", ".join(self.outputs))

    def reload(self, settings: Settings) -> None:
        """Go on with other settings; what they leave equal goes on undisturbed.

        Raises:
            ConfigError: options do not fit together; everything goes on as it was.
            PluginError: a plugin cannot be made; likewise.
        """
        assembly = assemble(settings, self._assembly)
        before = self._workers()
        inlets, routes = self._adopt(settings, assembly)
        now = self._workers()
        # An output is started after the close() of the one that it replaces, which holds what it wants.
        self.threads.stop(STOP_TIMEOUT, [one for one in before.values() if one not in now.values()])
        self.pipeline.mailbox.put("settings", partial(self._reconfigure, settings, inlets, routes))
        self._start_threads()
        _log.info("reloaded the settings")
        warn(assembly)

    def stop(self) -> Sequence[str]:
        """End all threads.

        Returns:
            The names of those that could not be ended in time, because a plugin blocks.
        """
        stuck = self.threads.stop(STOP_TIMEOUT)
        for name in stuck:
            _log.warning("%s did not end in time and was left; what it was writing may not have been published", name)
        return stuck

    @property
    def assembly(self) -> Assembly:
        """What the present settings describe, opened; replaced whole at a reload."""
        return self._assembly

    @property
    def settled(self) -> bool:
        """Whether all is published that can be without hearing a control plane: nothing, or what was restored."""
        restored = all(inlet.admitted for inlet in self.pipeline.inlets.values())
        return not restored or all(one.status.publications or one.status.failures for one in self.outputs.values())

    @property
    def summary(self) -> str:
        """How it is, in one line."""
        targets = sum(self.pipeline.status.assignments.values())
        heard = [worker.source.status.connected for worker in self.sources.values()]
        failing = [name for name, worker in self.outputs.items() if worker.status.failing]
        held = sum(sum(inlet.guard.status.held.values()) for inlet in self.pipeline.inlets.values())
        parts = [counted(targets, "target"), f"{sum(heard)} of {len(heard)} control planes heard"]
        parts += [f"{held} held by the guard"] if held else []
        parts += [f"failing: {', '.join(failing)}"] if failing else []
        return "; ".join(parts)

    def accept(self, control_plane: str | None) -> list[str]:
        """Let go of what the guards hold.

        Args:
            control_plane: the name of one; None for all.

        Returns:
            A line for each, which says what is let go.

        Raises:
            KeyError: there is no such control plane.
        """
        inlets = self.pipeline.inlets
        lines = []
        for name in inlets if control_plane is None else [control_plane]:
            held = sum(inlets[name].guard.status.held.values())
            self.pipeline.mailbox.put(f"accept {name}", partial(inlets[name].accept, time.monotonic()))
            lines.append(f"{inlets[name].title}: {counted(held, 'held target')} {'is' if held == 1 else 'are'} let go")
        return lines

    def published(self) -> dict[str, Content]:
        """Return what each output published last, by its name, for whoever asks from another thread."""
        kinds = {name: one.plugin.name for name, (one, _) in self.assembly.outputs.items()}
        return {name: Content(kinds.get(name, ""), partial(_published, one)) for name, one in self.outputs.items()}

    def received(self) -> dict[str, Content]:
        """Return what each control plane has after its guard, by its name, likewise."""
        addresses = {name: masked(one.address) for name, (one, _) in self.assembly.sources.items()}
        inlets = self.pipeline.inlets
        return {name: Content(addresses.get(name, ""), partial(_received, name, inlets[name])) for name in inlets}

    def _reconfigure(self, settings: Settings, inlets: dict[str, Inlet], routes: Sequence[Route]) -> None:
        # In the pipeline's thread, which is the one that leaves things for saving.
        self.state.follow(settings.control_planes)
        self.pipeline.reconfigure(inlets, routes)

    def _workers(self) -> dict[str, Worker]:
        """Return what runs in threads, by the name of the thread, in the order in which they are started."""
        workers: dict[str, Worker] = {"state": self.state}
        workers.update((f"output {name}", worker) for name, worker in self.outputs.items())
        workers["pipeline"] = self.pipeline
        workers.update((f"control plane {worker.title}", worker) for worker in self.sources.values())
        return workers

    def _start_threads(self) -> None:
        for name, worker in self._workers().items():
            if worker not in self.threads.running:
                self.threads.start(name, worker)

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


def _published(worker: OutputWorker) -> Iterable[bytes]:
    publication = worker.status.published
    return lines_of(selected(worker.output, publication)) if publication else ()


def _received(name: str, inlet: Inlet) -> Iterable[bytes]:
    snapshot = replace(inlet.admitted or Snapshot(name, (), 0.0, 0.0), assignments=inlet.assignments)
    return snapshot_file.write(snapshot, name)
