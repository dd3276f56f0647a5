"""The daemon: runs all components in threads. The process around it is `kuma_sd.service.process`."""

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial

from msgspec.structs import replace

from kuma_sd.core.logger import Logger
from kuma_sd.core.model import Codec, Key, Snapshot
from kuma_sd.core.target_group import TargetGroup
from kuma_sd.core.text import counted
from kuma_sd.pipeline.chain import Chain
from kuma_sd.pipeline.chain_outputs import ChainOutputs
from kuma_sd.pipeline.control_plane import ControlPlaneConfig, ControlPlaneView
from kuma_sd.pipeline.control_plane_matching import endpoints_of
from kuma_sd.pipeline.event_delivery import Events
from kuma_sd.pipeline.messages import Configuration
from kuma_sd.pipeline.output_worker import OutputWorker
from kuma_sd.pipeline.pipeline import Pipeline, Saving
from kuma_sd.pipeline.source_worker import SourceWorker
from kuma_sd.plugin.interfaces import Output, Source
from kuma_sd.prometheus.sd_files import selected
from kuma_sd.runtime.builder import Components, build
from kuma_sd.runtime.output_replacement import OutputReplacement, StillStartingError
from kuma_sd.runtime.output_starts import START_TIMEOUT, start_workers
from kuma_sd.runtime.restore_from_published import (
    PUBLISHED,
    completed,
    published_at,
    published_groups,
    unless_published_since,
)
from kuma_sd.runtime.setting_warnings import warn
from kuma_sd.settings.model import ControlPlaneSettings, OutputSettings, Settings
from kuma_sd.state import snapshot_file
from kuma_sd.state.offline_reader import find_codec
from kuma_sd.state.saver import State
from kuma_sd.system.threads import STOP_TIMEOUT, Threads, Worker
from kuma_sd.web.endpoints.published import PublishedContent, lines_of

_log = Logger(__name__)


class Daemon:
    """Runs the components that settings describe.

    Args:
        settings: the settings.

    Raises:
        ConfigError: options do not fit together.
        PluginError: a plugin cannot be created.
    """

    def __init__(self, settings: Settings) -> None:
        self.threads = Threads()
        self.outputs: dict[str, OutputWorker] = {}
        self.sources: dict[str, SourceWorker] = {}
        self.state = State(settings.core.state_dir)
        self.events = Events()
        self.pipeline = Pipeline(
            time.monotonic(), Saving(self.state.save, self.state.remove, self.state.save_quarantined), self.events
        )
        self._components = Components()
        self._source_ids = itertools.count(1)
        self._ids: dict[SourceWorker, int] = {}
        self._settings = settings
        self._stopping = threading.Event()
        # An output that leaves gets as much time to end as another has to start: two must never write the same file.
        self._replacement = OutputReplacement(
            partial(self.threads.stop, START_TIMEOUT), self._open_again, self._stopping.is_set
        )
        self._unfinished: tuple[Settings, Components] | None = None
        """The settings of a reload that was refused because an output was still starting, and their components."""
        self._configuration = self._adopt(settings, build(settings))
        warn(self._components)

    def start(self, give_up: Callable[[], bool] = lambda: False) -> None:
        """Start the outputs, restore the saved targets, and start all threads.

        Args:
            give_up: asked while an output is starting; ends the wait for it.

        Raises:
            OutputError: an output cannot be started.
        """
        start_workers(self.outputs, give_up)
        restored = self.state.restore(list(self.sources), self._codec)
        restored = unless_published_since(restored, published_at(worker.output for worker in self.outputs.values()))
        restored = completed(restored, self._configuration.control_planes, self._published_before)
        self.pipeline.begin(restored, self._configuration, time.monotonic())
        self._start_threads()
        control_planes = ", ".join(source.title for source in self.sources.values())
        _log.info("started", control_planes=control_planes, outputs=", ".join(self.outputs))
        self.events.started([source.title for source in self.sources.values()], self.outputs)

    def reload(self, settings: Settings) -> None:
        """Apply new settings. Components whose settings are unchanged keep running.

        New components are opened here. The pipeline keeps the targets of the control planes; its thread matches them
        with the new settings.

        Raises:
            ConfigError: options do not fit together; nothing changes.
            PluginError: a plugin cannot be created; nothing changes.
            OutputError: an output cannot be started in place of the one it replaces; nothing changes.
        """
        components = self._build(settings)
        try:
            starts = self._replacement.start(self.outputs, components.outputs)
        except StillStartingError:
            self._unfinished = settings, components
            raise
        before = self._workers()
        configuration = self._adopt(settings, components)
        for name, start in starts.items():
            self.outputs[name].start = start
        now = self._workers()
        self.threads.stop(STOP_TIMEOUT, [worker for worker in before.values() if worker not in now.values()])
        self.pipeline.configure_soon(configuration)
        self._start_threads()
        _log.info("reloaded the settings")
        warn(components)

    def stop(self) -> Sequence[str]:
        """Stop all threads.

        Returns:
            The names of threads that did not end in time, because a plugin blocks.
        """
        self._stopping.set()
        self.events.stopping()
        stuck = self.threads.stop(STOP_TIMEOUT)
        for name in stuck:
            _log.warning("a thread did not end in time; its last write may be lost", thread=name)
        return stuck

    @property
    def components(self) -> Components:
        """The components of the current settings; replaced as a whole by a reload."""
        return self._components

    @property
    def settled(self) -> bool:
        """Whether everything known without a response of a control plane is published: the restored targets, if any."""
        known = all(view.known for view in self.pipeline.status.control_planes.values())
        # An output that is still starting may never end.
        attempts = [worker.status.publishing for worker in self.outputs.values() if worker.starting is None]
        return not known or all(publishing.publications or publishing.failures for publishing in attempts)

    def accept(self, name: str | None) -> list[str]:
        """Release the targets that guards hold, and those that outputs keep until an operator accepts.

        Args:
            name: the name of a control plane or output; None for all.

        Returns:
            A line for each control plane or output, with what was released.

        Raises:
            KeyError: no control plane or output has that name.
        """
        if name is not None and name not in {instance for _, instance in self.components.contexts}:
            raise KeyError(name)
        sources, views = self.sources, self.pipeline.status.control_planes
        lines = []
        for each in sources if name is None else {name} & sources.keys():
            held = views[each].guard.held.targets if each in views else 0
            lines.append(f"{sources[each].title}: releasing {counted(held, 'held target')}")
        if name is None or name in sources:
            self.pipeline.accept_soon(name)
        return [*lines, *self._accept_in_plugins(name)]

    def _accept_in_plugins(self, name: str | None) -> list[str]:
        lines = []
        for (kind, instance), context in self.components.contexts.items():
            if name in (None, instance):
                for acceptance in context.contributions.acceptances:
                    lines += [f"{kind} {context.title}: {line}" for line in acceptance()]
        return lines

    def published(self) -> dict[str, PublishedContent]:
        """Return each output's last publication by name; safe to call from any thread."""
        kinds = {name: output.plugin_name for name, (output, _) in self.components.outputs.items()}
        return {
            name: PublishedContent(kinds.get(name, ""), partial(_published, output))
            for name, output in self.outputs.items()
        }

    def received(self) -> dict[str, PublishedContent]:
        """Return each control plane's targets after its guard by name; safe to call from any thread."""
        addresses = {name: str(source.address) for name, (source, _) in self.components.sources.items()}
        return {
            name: PublishedContent(address, partial(_received, name, self.pipeline))
            for name, address in addresses.items()
        }

    def _workers(self) -> dict[str, Worker]:
        """Return the workers by thread name, in the order in which they are started."""
        workers: dict[str, Worker] = {"events": self.events, "state": self.state}
        workers.update((f"output {name}", worker) for name, worker in self.outputs.items())
        workers["pipeline"] = self.pipeline
        workers.update((f"control plane {worker.title}", worker) for worker in self.sources.values())
        return workers

    def _start_threads(self) -> None:
        for name, worker in self._workers().items():
            if worker not in self.threads.running:
                self.threads.start(name, worker)

    def _build(self, settings: Settings) -> Components:
        """Build the components of new settings, or return those of the same settings whose outputs are starting."""
        unfinished = self._unfinished
        self._unfinished = None
        return unfinished[1] if unfinished and unfinished[0] == settings else build(settings, self._components)

    def _adopt(self, settings: Settings, components: Components) -> Configuration:
        """Create the workers of new settings, reusing those whose components did not change."""
        self._settings = settings
        self._components = components
        self.events.replace_listeners(settings.plugins.listeners)
        self.outputs = {name: self._output_worker(*pair) for name, pair in components.outputs.items()}
        self.sources = {name: self._source_worker(*pair) for name, pair in components.sources.items()}
        self._ids = {worker: self._ids[worker] for worker in self.sources.values()}
        configs = [self._config(source, settings) for source, _ in components.sources.values()]
        chains = [self._chain_outputs(chain, components.outputs_of(key)) for key, chain in components.chains]
        return Configuration(configs, chains, settings.core.start_wait)

    def _published_before(self) -> dict[Key, TargetGroup]:
        return {key: group for chain in self._configuration.chains for key, group in chain.remember().items()}

    def _open_again(self, names: Collection[str]) -> None:
        """Restart outputs that were stopped for new ones that failed."""
        kept = {name: pair for name, pair in self._components.outputs.items() if name not in names}
        self.outputs = {name: worker for name, worker in self.outputs.items() if name not in names}
        components = build(self._settings, self._components._replace(outputs=kept))
        configuration = self._adopt(self._settings, components)
        self.pipeline.configure_soon(replace(configuration, in_effect="the old settings stay in effect"))
        self._start_threads()

    def _chain_outputs(self, chain: Chain, outputs: Iterable[OutputSettings]) -> ChainOutputs:
        workers = {output.name: self.outputs[output.name] for output in outputs}
        mailboxes = {name: worker.mailbox for name, worker in workers.items()}
        return ChainOutputs(
            chain,
            mailboxes,
            published=lambda: published_groups(worker.output for worker in workers.values()),
            has_memory=lambda: published_at(worker.output for worker in workers.values()) > 0,
        )

    def _output_worker(self, one: OutputSettings, output: Output) -> OutputWorker:
        worker = self.outputs.get(one.name)
        if not worker or worker.output is not output:
            return OutputWorker(one.name, output, one.min_interval, self.events)
        worker.min_interval = one.min_interval
        return worker

    def _source_worker(self, one: ControlPlaneSettings, source: Source) -> SourceWorker:
        worker = self.sources.get(one.name)
        if worker and worker.source is source:
            return worker
        source_id = next(self._source_ids)
        worker = SourceWorker(one.title, one.name, source, self.pipeline.receiver(source_id), self.events)
        self._ids[worker] = source_id
        return worker

    def _config(self, one: ControlPlaneSettings, settings: Settings) -> ControlPlaneConfig:
        core, worker = settings.core, self.sources[one.name]
        return ControlPlaneConfig(
            name=one.name,
            title=worker.title,
            endpoints=endpoints_of(str(one.address)),
            source=self._ids[worker],
            is_saved=one.plugin.codec is not None,
            max_drop=core.guard_max_drop,
            hold=core.guard_hold,
            max_age=core.max_age,
            start_wait=core.start_wait,
            age=lambda now: worker.source.status.age(now),  # noqa: PLW0108 (reads the current attribute at each call)
        )

    def _codec(self, name: str) -> Codec:
        """Find the codec of saved assignments, first among the codecs of the sources in use."""
        if name == PUBLISHED.name:
            return PUBLISHED
        for source in self._settings.control_planes:
            with contextlib.suppress(KeyError):
                if source.plugin.codec:
                    return source.plugin.codec(name)
        return find_codec(name)


def _published(worker: OutputWorker) -> Iterable[bytes]:
    publication = worker.status.published
    return lines_of(selected(worker.output, publication)) if publication else ()


def _received(name: str, pipeline: Pipeline) -> Iterable[bytes]:
    view = pipeline.status.control_planes.get(name) or ControlPlaneView()
    return snapshot_file.write(Snapshot(name, view.assignments, view.received, 0.0), name)
