"""A daemon in this process, whose control planes and outputs do as they are told."""

import contextlib
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from settings_kit import settings_of
from waiting import eventually

from kuma_sd import (
    Assignment,
    Context,
    NoOptions,
    Output,
    OutputPlugin,
    Publication,
    Snapshot,
    Source,
    SourcePlugin,
    SourceStatus,
    Transform,
    TransformPlugin,
    hookimpl,
)
from kuma_sd.plugin.catalogue import Direct
from kuma_sd.plugin.manager import Plugins
from kuma_sd.runtime.daemon import Daemon
from kuma_sd.runtime.status_collector import StatusCollector
from kuma_sd.settings.model import Settings
from kuma_sd.testing import CODEC, snapshot


class ToldSource:
    """Yields what it is sent; an exception ends the connection."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.status = SourceStatus()
        self._steps: queue.SimpleQueue[Snapshot | Exception | None] = queue.SimpleQueue()

    def send(self, *assignments: Assignment | str, complete: bool = True) -> None:
        """Let a snapshot come."""
        name, now = self.context.name, time.time()
        self._steps.put(snapshot(*assignments, control_plane=name, received=now, complete=complete))

    def fail(self, error: Exception) -> None:
        """End the connection."""
        self._steps.put(error)

    def __iter__(self) -> Iterator[Snapshot]:
        while step := self._steps.get():
            if isinstance(step, Exception):
                self.status = replace(self.status, connected=False, contact=time.monotonic())
                raise step
            now = time.time()
            self.status = replace(
                self.status, connected=True, last_response=now, since=now, protocol="told", why="by a test"
            )
            yield step

    def close(self) -> None:
        self._steps.put(None)


class ToldOutput(Output):
    """Publishes; fails while it has a problem, and blocks while its gate is closed."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.problem: Exception | None = None
        self.access_control = threading.Event()
        self.access_control.set()

    def start(self) -> None: ...

    def publish(self, publication: Publication) -> None:
        del publication  # the worker remembers it
        self.access_control.wait(10)
        if self.problem:
            raise self.problem

    def close(self) -> None: ...


class Told:
    """Plugins, and the instances that were opened, by name."""

    def __init__(self) -> None:
        self.sources: dict[str, ToldSource] = {}
        self.outputs: dict[str, ToldOutput] = {}
        self.transforms: dict[str, Context] = {}

    @hookimpl
    def kuma_sd_source_plugin(self) -> SourcePlugin:
        return SourcePlugin(self._source, codec=lambda _name: CODEC)

    @hookimpl
    def kuma_sd_output_plugin(self) -> OutputPlugin:
        return OutputPlugin(self._output)

    @hookimpl
    def kuma_sd_transform_plugin(self) -> TransformPlugin:
        return TransformPlugin(self._transform)

    def _transform(self, _options: NoOptions, context: Context) -> Transform:
        self.transforms[context.name] = context
        return lambda labels, _target: [labels]

    def _source(self, _options: NoOptions, context: Context) -> Source:
        self.sources[context.name] = ToldSource(context)
        return self.sources[context.name]

    def _output(self, _options: NoOptions, context: Context) -> Output:
        self.outputs[context.name] = ToldOutput(context)
        return self.outputs[context.name]


@dataclass
class Observed:
    """A running daemon, and who looks at it."""

    daemon: Daemon
    collector: StatusCollector
    told: Told
    _plugins: Plugins
    _fixed: tuple[str, ...]

    @property
    def source(self) -> ToldSource:
        """The only one."""
        (source,) = self.told.sources.values()
        return source

    @property
    def output(self) -> ToldOutput:
        """The only one."""
        (output,) = self.told.outputs.values()
        return output

    def settings(self, *flags: str) -> Settings:
        """Return other settings for a reload."""
        return settings_of(*self._fixed, *flags, plugins=self._plugins)

    def publish(self, *assignments: Assignment | str) -> None:
        """Let these come, and wait until they are published."""
        publications = self.collector.status().outputs[0].publishing.publications
        self.source.send(*assignments)
        eventually(
            lambda: self.collector.status().outputs[0].publishing.publications > publications, "they are published"
        )


@contextlib.contextmanager
def observed(directory: Path, *flags: str, hooks: object = None, stuck: Sequence[str] = ()) -> Iterator[Observed]:
    """Run a daemon until the block ends.

    Args:
        directory: where its state is.
        *flags: its settings; one control plane and the output ``told`` unless they say otherwise.
        hooks: an object with hooks, which the setting ``plugins`` may name as ``mine``.
        stuck: the threads that are left behind at the end.
    """
    told = Told()
    names = ("source.grpc", "transform.told", "output.told")
    plugins = Plugins([*(Direct(name, told) for name in names), Direct("mine", hooks)])
    fixed = (f"--state-dir={directory}/state", "--min-interval=0")
    chosen = flags or ("--cp-address=grpc://user:secret@192.0.2.1:5676", "--output=told")
    daemon = Daemon(settings_of(*fixed, *chosen, plugins=plugins))
    collector = StatusCollector(daemon)
    daemon.start()
    try:
        yield Observed(daemon, collector, told, plugins, fixed)
    finally:
        for output in told.outputs.values():
            output.access_control.set()
        left_behind = daemon.stop()
    assert left_behind == list(stuck)
    assert daemon.threads.failure is None
