"""Collect a daemon's status, and record its publications over time."""

import threading
import time

from msgspec.structs import replace

from kuma_sd._version import __version__
from kuma_sd.core.logger import Logger
from kuma_sd.pipeline.control_plane import ControlPlaneView
from kuma_sd.pipeline.output_worker import OutputWorker
from kuma_sd.pipeline.source_worker import SourceWorker
from kuma_sd.plugin.context import Context
from kuma_sd.runtime.builder import Components
from kuma_sd.runtime.daemon import Daemon
from kuma_sd.runtime.stuck_threads import stuck_threads
from kuma_sd.settings.model import OutputSettings
from kuma_sd.telemetry.control_plane_status import ControlPlaneStatus
from kuma_sd.telemetry.history import FINE, History
from kuma_sd.telemetry.measurement_cost import Measured
from kuma_sd.telemetry.output_status import OutputStatus
from kuma_sd.telemetry.problems import problems_of
from kuma_sd.telemetry.publication_counts import Parts, Size
from kuma_sd.telemetry.status import LeavingStatus, Reloads, Status

_log = Logger(__name__)

SILENT_SECONDS = 6.0
"""A control plane that has not responded for this many seconds is reported."""


class StatusCollector:
    """Collects the status of a daemon in its own thread. The daemon does not depend on it.

    Args:
        daemon: the daemon.
    """

    def __init__(self, daemon: Daemon) -> None:
        self._begun = time.monotonic()
        self.history = History()
        self.reloads = Reloads(succeeded=time.time())
        self._daemon = daemon
        self._started = time.time()
        self._looked = self._main = self._begun
        self._sizes: dict[str, Measured[Size]] = {}
        self._parts: dict[str, Measured[Parts]] = {}
        self._reported: set[tuple[str, str]] = set()
        self._closing = threading.Event()

    def run(self) -> None:
        """Record every FINE seconds until closed."""
        self.look()
        while not self._closing.wait(FINE):
            self.look()

    def close(self) -> None:
        """End run(), from any thread."""
        self._closing.set()

    def look(self) -> None:
        """Record what was published."""
        outputs = self._daemon.outputs
        self.history.keep_only(list(outputs))
        for name, worker in outputs.items():
            status, when = worker.status, worker.status.publishing.last
            if status.published and when:
                self.history.note(name, len(status.published.groups), status.changes, when, time.time())
        self._looked = time.monotonic()

    def main_thread_moves(self) -> None:
        """Record that the main thread is alive."""
        self._main = time.monotonic()

    def reloaded(self, failing: str = "") -> None:
        """Record the result of a reload.

        Args:
            failing: why the reload failed; empty if it succeeded.
        """
        before, now = self.reloads, time.time()
        succeeded = before.succeeded if failing else now
        self.reloads = Reloads(before.count + 1, before.failures + bool(failing), now, succeeded, failing)

    def status(self, *, parts: bool = True) -> Status:
        """Return the daemon's status; safe to call from any thread.

        Args:
            parts: whether to count targets by mesh and service too, which takes some time in a large mesh.
        """
        daemon, components = self._daemon, self._daemon.components
        control_planes = tuple(
            self._control_plane(name, source, components)
            for name, source in sorted(daemon.sources.items())
            if name in components.sources
        )
        outputs = tuple(
            self._output(name, output, components, parts=parts)
            for name, output in daemon.outputs.items()
            if name in components.outputs
        )
        pipeline = daemon.pipeline.status
        status = Status(
            version=__version__,
            now=time.time(),
            started=self._started,
            stuck=tuple(stuck_threads(self._moved(), daemon.threads.died)),
            reloads=self.reloads,
            control_planes=control_planes,
            leaving=tuple(
                LeavingStatus(view.name, len(view.assignments)) for view in pipeline.leaving if view.assignments
            ),
            outputs=outputs,
            rounds=pipeline.rounds,
            round_seconds=pipeline.seconds,
            state=daemon.state.status,
            events=daemon.events.status,
        )
        return replace(status, problems=tuple(problems_of(status)))

    def _moved(self) -> dict[str, float]:
        beat = self._daemon.pipeline.status.beat or self._begun
        return {"main thread": self._main, "observer": self._looked, "pipeline": beat}

    def _control_plane(self, name: str, worker: SourceWorker, components: Components) -> ControlPlaneStatus:
        settings, context = components.sources[name][0], components.contexts["source", name]
        view = self._daemon.pipeline.status.control_planes.get(name) or ControlPlaneView()
        source, now, monotonic = worker.source.status, time.time(), time.monotonic()
        age, silence = source.age(monotonic), source.silence(monotonic)
        until = view.guard.until
        return ControlPlaneStatus(
            name=name,
            title=worker.title,
            address=str(settings.address),
            plugin=settings.plugin_name,
            source=source.report(monotonic, now),
            age=max(0.0, now - self._started) if age is None else age,
            # Unreachable control planes are known by then.
            silent=silence if silence >= SILENT_SECONDS else 0.0,
            connection=worker.status,
            assignments=len(view.assignments),
            changed=view.changed,
            restored=view.restored,
            expired=view.expired,
            guard=view.guard.held,
            # With guard-hold = forever, targets are held until an operator accepts.
            held_until=None if until in (None, float("inf")) else now + until - monotonic,
            facts=self._facts(f"control plane {worker.title}", context),
        )

    def _output(self, name: str, worker: OutputWorker, components: Components, *, parts: bool) -> OutputStatus:
        settings, context = components.outputs[name][0], components.contexts["output", name]
        status = worker.status
        publication = status.published
        size = self._sizes.setdefault(name, Measured(Size.of, Size()))
        part = self._parts.setdefault(name, Measured(Parts.of, Parts()))
        return OutputStatus(
            name=name,
            plugin=settings.plugin_name,
            label_profile=settings.label_profile,
            transforms=(*(step.name for step in settings.transforms), *(hook.name for hook in components.hooks)),
            chain=components.chain_of(settings).status,
            publishing=status.publishing,
            busy=0.0 if status.attempt is None else time.monotonic() - status.attempt,
            starting=worker.starting,
            superseded=worker.mailbox.superseded,
            groups=len(publication.groups) if publication else 0,
            duplicates=publication.duplicates if publication else 0,
            size=size.of(publication),
            parts=part.of(publication if parts else None),
            paths=tuple(context.contributions.served),
            facts=self._facts(f"output {name}", context) | self._facts_of_transforms(settings, components),
        )

    def _facts_of_transforms(self, settings: OutputSettings, components: Components) -> dict[str, str]:
        facts: dict[str, str] = {}
        for transform in settings.transforms:
            reported = self._facts(f"transform {transform.name}", components.contexts["transform", transform.name])
            facts |= {f"{transform.name} {name}": value for name, value in reported.items()}
        return facts

    def _facts(self, owner: str, context: Context) -> dict[str, str]:
        facts: dict[str, str] = {}
        for report in context.contributions.reports:
            try:
                facts.update({str(name): str(value) for name, value in report().items()})
            except (Exception, SystemExit) as error:  # noqa: BLE001 (the boundary to plugins)
                self._report(owner, error)
        return facts

    def _report(self, owner: str, error: BaseException) -> None:
        # Log each kind once, since the status is requested often; the number of instances and types is limited.
        problem = owner, type(error).__name__
        if problem not in self._reported:
            self._reported.add(problem)
            _log.error(
                "a plugin cannot report its status",
                error=error,
                plugin=owner,
                reason=f"{type(error).__name__}: {error}",
            )
