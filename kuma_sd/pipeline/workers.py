"""The threads at both ends of the pipeline: one for each control plane, one for each output."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from kuma_sd.pipeline.backoff import Backoff
from kuma_sd.core.errors import OutputError, SourceError
from kuma_sd.telemetry.histogram import Histogram
from kuma_sd.plugin.interfaces import Output, Source
from kuma_sd.core.mailbox import Mailbox
from kuma_sd.core.model import Publication, Snapshot
from kuma_sd.core.text import counted

_log = logging.getLogger(__name__)

LONGEST_RETRY_AFTER = 300.0
"""How long a server may send us away, in seconds."""


@dataclass(frozen=True, slots=True)
class ConnectionStatus:
    """How connecting to a control plane goes; replaced whole, never changed.

    Args:
        attempts: how many connections were tried.
        snapshots: how many snapshots came.
        up: whether the present connection brought a snapshot; None before the first attempt ended.
        failing: why the last connection ended; empty while one is up.
    """

    attempts: int = 0
    snapshots: int = 0
    up: bool | None = None
    failing: str = ""


class SourceWorker:
    """Consumes the snapshots of one control plane, connecting again and again.

    Args:
        title: what the control plane is called in the log.
        control_plane: its name, under which its snapshots lie in the mailbox.
        source: where they come from.
        put: where they go: the ``put`` of a mailbox.
    """

    def __init__(self, title: str, control_plane: str, source: Source, put: Callable[[str, Snapshot], None]) -> None:
        self.title = title
        self.source = source
        self.status = ConnectionStatus()
        self._control_plane = control_plane
        self._put = put
        self._backoff = Backoff()
        self._closing = threading.Event()

    def run(self) -> None:
        """Iterate over the source until closed."""
        while not self._closing.is_set():
            self.status = replace(self.status, attempts=self.status.attempts + 1)
            why, error, leave_alone = "it ended the stream", None, 0.0
            try:
                self._connection()
            except SourceError as failure:
                why, leave_alone = str(failure), min(failure.retry_after, LONGEST_RETRY_AFTER)
            except Exception as failure:  # noqa: BLE001 (the boundary to plugins)
                why, error = f"unexpected {type(failure).__name__}: {failure}", failure
            if self._closing.is_set():
                return
            self._down(why, error)
            self._closing.wait(max(self._backoff.next(), leave_alone))

    def close(self) -> None:
        """End run() at once, from any thread."""
        self._closing.set()
        self.source.close()

    def _connection(self) -> None:
        for snapshot in self.source:
            self._put(self._control_plane, snapshot)
            self._backoff.reset()
            self._up()
            # While the next one is awaited, nothing of this one may stay.
            del snapshot

    def _up(self) -> None:
        if not self.status.up:
            spoken = self.source.status
            _log.info("control plane %s: connected over %s, %s", self.title, spoken.protocol, spoken.why)
        self.status = replace(self.status, snapshots=self.status.snapshots + 1, up=True, failing="")

    def _down(self, why: str, error: Exception | None) -> None:
        known, self.status = self.status.up is False, replace(self.status, up=False, failing=why)
        if not known:
            _log.warning(
                "control plane %s: %s; trying again, targets stay as they are", self.title, why, exc_info=error
            )


@dataclass(frozen=True, slots=True)
class OutputStatus:
    """What an output did so far; replaced whole, never changed.

    Args:
        published: what it published last; None before the first.
        when: when it did, in seconds of ``time.time()``.
        publications: how many it published.
        failures: how many attempts failed.
        failing: why the last attempt failed; empty when it did not.
        attempt: when the attempt under way began, in seconds of ``time.monotonic()``; None when there is none.
        seconds: how long it took from response received to published.
    """

    published: Publication | None = None
    when: float | None = None
    publications: int = 0
    failures: int = 0
    failing: str = ""
    attempt: float | None = None
    seconds: Histogram = field(default_factory=Histogram)


class OutputWorker:
    """Hands publications to one output, so that one that blocks or fails delays nobody else.

    Args:
        name: the instance's name in the settings.
        output: what publishes; it is started here unless ``started`` says that somebody did.
        min_interval: the least time between two publications, in seconds.
    """

    def __init__(self, name: str, output: Output, min_interval: float) -> None:
        self.name = name
        self.output = output
        self.mailbox: Mailbox[Publication] = Mailbox()
        self.status = OutputStatus()
        self.min_interval = min_interval
        self.started = False
        self._born = time.time()
        self._backoff = Backoff()
        self._closing = threading.Event()

    def run(self) -> None:
        """Publish the newest publication whenever there is one, until closed."""
        pending: Publication | None = None
        while not self.started and not self._closing.is_set():
            self.started = self._try(self.output.start)
            self._closing.wait(0 if self.started else self._backoff.next())
        while not self._closing.is_set():
            newest = self.mailbox.take(timeout=0 if pending else None)
            pending = next(iter(newest.values()), pending)
            if pending is None or self._closing.is_set():
                continue
            if self._try(partial(self.output.publish, pending)):
                self._succeeded(pending)
                pending = None
                # A change after a calm goes out at once; a storm is gathered into one publication an interval.
                self._closing.wait(self.min_interval)
            else:
                self._closing.wait(self._backoff.next())
        self.output.close()

    def close(self) -> None:
        """End run() after the publication under way, from any thread."""
        self._closing.set()
        self.mailbox.close()

    def _try(self, step: Callable[[], None]) -> bool:
        self.status = replace(self.status, attempt=time.monotonic())
        try:
            step()
        except Exception as error:  # noqa: BLE001 (the boundary to plugins)
            self._failed(error)
            return False
        finally:
            self.status = replace(self.status, attempt=None)
        return True

    def _succeeded(self, publication: Publication) -> None:
        status = self.status
        if status.failing or not status.published:
            again = " again" if status.published else ""
            _log.info("output %s: published%s, %s", self.name, again, counted(len(publication.groups), "target"))
        self._backoff.reset()
        now, seconds = time.time(), status.seconds
        # What a reload, a restart or the end of a hold published did not wait for a response.
        if publication.received > (status.published.received if status.published else self._born):
            seconds = seconds.observe(max(0.0, now - publication.received))
        publications = status.publications + 1
        self.status = OutputStatus(publication, now, publications, status.failures, failing="", seconds=seconds)

    def _failed(self, error: Exception) -> None:
        status = self.status
        expected = isinstance(error, OutputError)
        why = str(error) if expected else f"unexpected {type(error).__name__}: {error}"
        if why != status.failing:
            _log.error(
                "output %s: %s; trying again, what it published before stays",
                self.name,
                why,
                exc_info=None if expected else error,
            )
        self.status = replace(status, failures=status.failures + 1, failing=why)
