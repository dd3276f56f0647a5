"""The daemon: everything that settings describe, running in threads; the process around it is in service.py."""

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain

from kuma_sd.core.model import Snapshot
from kuma_sd.core.text import counted
from kuma_sd.pipeline.control_plane import ControlPlane
from kuma_sd.pipeline.guard import Guard
from kuma_sd.pipeline.merge import FirstPublication, Pipeline, Route
from kuma_sd.pipeline.output_worker import OutputWorker
from kuma_sd.pipeline.source_worker import SourceWorker
from kuma_sd.plugin.interfaces import Output, Source
from kuma_sd.prometheus.sd_files import selected
from kuma_sd.runtime.builder import Components, build, start_outputs, title
from kuma_sd.runtime.setting_warnings import warn
from kuma_sd.settings.loader import ControlPlaneSettings, OutputSettings, Settings
from kuma_sd.state import snapshot_file
from kuma_sd.state.saver import State
from kuma_sd.system.threads import Threads, Worker
from kuma_sd.web.endpoints.published import PublishedContent, lines_of

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
        self._components = Components()
        opening = FirstPublication(time.monotonic(), settings.core.start_wait, settings.core.guard_hold)
        self.pipeline = Pipeline({}, [], opening, self.state.mailbox.put)
        self.pipeline.reconfigure(*self._adopt(settings, build(settings)))
        warn(self._components)

    def start(self) -> None:
        """Start the outputs, restore what was saved, and start all threads.

        Raises:
            OutputError: an output cannot be started.
        """
        start_outputs({name: worker.output for name, worker in self.outputs.items()})
        for worker in self.outputs.values():
            worker.started = True
        self.state.start()
        for name, control_plane in self.pipeline.control_planes.items():
            if saved := self.state.restore(name):
                control_plane.restore(saved)
        self._start_threads()
        control_planes = ", ".join(source.title for source in self.sources.values())
        _log.info("started: control planes %s; outputs %s", control_planes, ", ".join(self.outputs))

    def reload(self, settings: Settings) -> None:
        """Go on with other settings; what they leave equal goes on undisturbed.

        Raises:
            ConfigError: options do not fit together; everything goes on as it was.
            PluginError: a plugin cannot be made; likewise.
        """
        components = build(settings, self._components)
        before = self._workers()
        control_planes, routes = self._adopt(settings, components)
        now = self._workers()
        # An output is started after the close() of the one that it replaces, which holds what it wants.
        self.threads.stop(STOP_TIMEOUT, [worker for worker in before.values() if worker not in now.values()])
        self.pipeline.mailbox.put("settings", partial(self._reconfigure, settings, control_planes, routes))
        self._start_threads()
        _log.info("reloaded the settings")
        warn(components)

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
    def components(self) -> Components:
        """What the present settings describe, opened; replaced whole at a reload."""
        return self._components

    @property
    def settled(self) -> bool:
        """Whether all is published that can be without hearing a control plane: nothing, or what was restored."""
        restored = all(control_plane.admitted for control_plane in self.pipeline.control_planes.values())
        return not restored or all(
            output.status.publications or output.status.failures for output in self.outputs.values()
        )

    @property
    def summary(self) -> str:
        """How it is, in one line."""
        targets = sum(self.pipeline.status.assignments.values())
        heard = [worker.source.status.connected for worker in self.sources.values()]
        failing = [name for name, worker in self.outputs.items() if worker.status.failing]
        held = sum(
            sum(control_plane.guard.status.held.values()) for control_plane in self.pipeline.control_planes.values()
        )
        parts = [counted(targets, "target"), f"{sum(heard)} of {len(heard)} control planes heard"]
        parts += [f"{held} held by the guard"] if held else []
        parts += [f"failing: {', '.join(failing)}"] if failing else []
        return "; ".join(parts)

    def accept(self, name: str | None) -> list[str]:
        """Let go of what the guards hold, and end what outputs keep until an operator says so.

        Args:
            name: of one control plane or output; None for all.

        Returns:
            A line for each, which says what is let go.

        Raises:
            KeyError: there is no control plane or output of that name.
        """
        if name in self.outputs:
            return self._accept_of(name)
        control_planes = self.pipeline.control_planes
        lines = []
        for each in control_planes if name is None else [name]:
            held = sum(control_planes[each].guard.status.held.values())
            self.pipeline.mailbox.put(f"accept {each}", partial(control_planes[each].accept, time.monotonic()))
            lines.append(
                f"{control_planes[each].title}: {counted(held, 'held target')} {'is' if held == 1 else 'are'} let go"
            )
        return lines if name else [*lines, *chain.from_iterable(map(self._accept_of, self.outputs))]

    def _accept_of(self, output: str) -> list[str]:
        acceptances = self.components.contexts["output", output].acceptances
        return [f"output {output}: {line}" for acceptance in acceptances for line in acceptance()]

    def published(self) -> dict[str, PublishedContent]:
        """Return what each output published last, by its name, for whoever asks from another thread."""
        kinds = {name: output.plugin.name for name, (output, _) in self.components.outputs.items()}
        return {
            name: PublishedContent(kinds.get(name, ""), partial(_published, output))
            for name, output in self.outputs.items()
        }

    def received(self) -> dict[str, PublishedContent]:
        """Return what each control plane has after its guard, by its name, likewise."""
        addresses = {name: str(source.address) for name, (source, _) in self.components.sources.items()}
        control_planes = self.pipeline.control_planes
        return {
            name: PublishedContent(addresses.get(name, ""), partial(_received, name, control_planes[name]))
            for name in control_planes
        }

    def _reconfigure(
        self, settings: Settings, control_planes: dict[str, ControlPlane], routes: Sequence[Route]
    ) -> None:
        # In the pipeline's thread, which is the one that leaves things for saving.
        self.state.follow(settings.control_planes)
        self.pipeline.reconfigure(control_planes, routes)

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

    def _adopt(self, settings: Settings, components: Components) -> tuple[dict[str, ControlPlane], list[Route]]:
        """Make the workers that settings ask for, keeping those that have what they need."""
        replaced, self._components = self._components, components
        self.outputs = {name: self._output_worker(*pair) for name, pair in components.outputs.items()}
        self.sources = {name: self._source_worker(*pair) for name, pair in components.sources.items()}
        control_planes = {
            source.name: self._control_plane(source, settings, replaced) for source, _ in components.sources.values()
        }
        routes = [
            Route(
                chain, {output.name: self.outputs[output.name].mailbox for output in components.outputs_through(path)}
            )
            for path, chain in components.chains
        ]
        return control_planes, routes

    def _output_worker(self, one: OutputSettings, output: Output) -> OutputWorker:
        worker = self.outputs.get(one.name)
        if not worker or worker.output is not output:
            return OutputWorker(one.name, output, one.min_interval)
        worker.min_interval = one.min_interval
        return worker

    def _source_worker(self, one: ControlPlaneSettings, source: Source) -> SourceWorker:
        worker = self.sources.get(one.name)
        if worker and worker.source is source:
            return worker
        return SourceWorker(title(one), one.name, source, self.pipeline.receiver(one.name))

    def _control_plane(self, one: ControlPlaneSettings, settings: Settings, replaced: Components) -> ControlPlane:
        core, worker = settings.core, self.sources[one.name]
        control_plane = self.pipeline.control_planes.get(one.name) or ControlPlane(worker.title, Guard(worker.title))
        control_plane.guard.max_drop, control_plane.guard.hold = core.guard_max_drop, core.guard_hold
        control_plane.max_age, control_plane.contact = core.max_age, lambda: worker.source.status
        before = replaced.sources.get(one.name)
        if before and before[0].address != one.address:
            # The operator says that this is another control plane: what the old one had is not held against it.
            control_plane.renew()
        return control_plane


def _published(worker: OutputWorker) -> Iterable[bytes]:
    publication = worker.status.published
    return lines_of(selected(worker.output, publication)) if publication else ()


def _received(name: str, control_plane: ControlPlane) -> Iterable[bytes]:
    snapshot = replace(control_plane.admitted or Snapshot(name, (), 0.0, 0.0), assignments=control_plane.assignments)
    return snapshot_file.write(snapshot, name)
