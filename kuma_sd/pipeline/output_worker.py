"""Run an output in a thread: publish the newest publication, and retry when that fails."""

import threading
import time
from collections.abc import Callable
from functools import partial

import msgspec
from msgspec.structs import replace

from kuma_sd.core.errors import OutputError, failure_reason, if_unexpected, without_frames
from kuma_sd.core.logger import Logger
from kuma_sd.core.mailbox import Mailbox
from kuma_sd.core.publication import Publication
from kuma_sd.core.secret import redacted
from kuma_sd.pipeline.backoff import Backoff
from kuma_sd.pipeline.event_delivery import Events
from kuma_sd.pipeline.output_start import OutputStart, close_output
from kuma_sd.plugin.interfaces import Output
from kuma_sd.telemetry.history import ChangeTotals
from kuma_sd.telemetry.output_status import PublishingStatus

_log = Logger(__name__)


class OutputProgress(msgspec.Struct, frozen=True):
    """The progress of an output; replaced whole, never changed.

    Args:
        published: its last publication; None before the first.
        publishing: the status of its publishing.
        attempt: when the current attempt began, in seconds of ``time.monotonic()``; None without one.
        changes: the changes in its publications so far.
    """

    published: Publication | None = None
    publishing: PublishingStatus = msgspec.field(default_factory=PublishingStatus)
    attempt: float | None = None
    changes: ChangeTotals = msgspec.field(default_factory=ChangeTotals)


class OutputWorker:
    """Hands publications to one output, so that one that blocks or fails delays no other.

    Args:
        name: the instance's name in the settings.
        output: the output; it is started here, unless ``start`` is set.
        min_interval: the minimum time between two publications, in seconds.
        events: is told about publications.
    """

    def __init__(self, name: str, output: Output, min_interval: float, events: Events | None = None) -> None:
        self.name = name
        self.output = output
        self.mailbox: Mailbox[Publication] = Mailbox()
        self._born = time.time()
        self.status = OutputProgress(changes=ChangeTotals(began=self._born))
        self._events = events or Events()
        self._min_interval = min_interval
        self._woken = threading.Event()
        self.start: OutputStart | None = None
        self._backoff = Backoff()
        self._closing = threading.Event()

    def run(self) -> None:
        """Publish the newest publication whenever there is one, until closed."""
        pending: Publication | None = None
        while not self.started and not self._closing.is_set():
            self._closing.wait(self._try(self._start) or 0)
        while not self._closing.is_set():
            newest = self.mailbox.take(timeout=0 if pending else None)
            pending = next(iter(newest.values()), pending)
            if pending is None or self._closing.is_set():
                continue
            pause = self._try(partial(self.output.publish, pending))
            if pause is None:
                self._succeeded(pending)
                pending = None
                self._gather()
            else:
                self._closing.wait(pause)
        self._close_output()

    @property
    def started(self) -> bool:
        """Whether `start()` of the output has returned."""
        return self.start is not None and self.start.succeeded

    @property
    def starting(self) -> float | None:
        """When `start()` was called that has not ended, in seconds of ``time.time()``; None if it has."""
        start = self.start
        return start.began if start and not start.ended else None

    @property
    def min_interval(self) -> float:
        """The minimum time between two publications, in seconds; a shorter one takes effect immediately."""
        return self._min_interval

    @min_interval.setter
    def min_interval(self, seconds: float) -> None:
        self._min_interval = seconds
        self._woken.set()

    def close(self) -> None:
        """End run() after the current publication, from any thread."""
        self._closing.set()
        self._woken.set()
        self.mailbox.close()

    def _gather(self) -> None:
        """Wait for min-interval: the first change is published immediately, rapid changes are batched."""
        published = time.monotonic()
        while not self._closing.is_set() and (rest := published + self.min_interval - time.monotonic()) > 0:
            self._woken.wait(rest)
            self._woken.clear()

    def _start(self) -> None:
        """Start the output, or wait for the start in progress."""
        start = self.start or OutputStart(self.name, self.output)
        self.start = start
        if start.wait(self._closing.is_set) and start.error:
            self.start = None
            raise start.error

    def _close_output(self) -> None:
        if self.start and not self.start.ended:
            self.start.abandon()
        close_output(self.name, self.output)

    def _try(self, step: Callable[[], None]) -> float | None:
        """Return the wait before the next attempt, in seconds; None if this one succeeded."""
        self.status = replace(self.status, attempt=time.monotonic())
        try:
            step()
        except (Exception, SystemExit) as error:  # noqa: BLE001 (the boundary to plugins, which end nothing)
            self._failed(error)
            # Nothing of a publication may stay in memory that a newer one replaces.
            without_frames(error)
            return self._backoff.next(error.retry_after if isinstance(error, OutputError) else 0.0)
        finally:
            self.status = replace(self.status, attempt=None)
        return None

    def _succeeded(self, publication: Publication) -> None:
        status = self.status
        log = _log.info if status.publishing.failing or not status.published else _log.debug
        log("published again" if status.published else "published", output=self.name, targets=len(publication.groups))
        self._backoff.reset()
        now, seconds = time.time(), status.publishing.seconds
        # A reload, a restart or the end of a hold publishes without a new response.
        if publication.received > (status.published.received if status.published else self._born):
            seconds = seconds.observe(max(0.0, now - publication.received))
        publications = status.publishing.publications + 1
        publishing = replace(status.publishing, publications=publications, failing="", last=now, seconds=seconds)
        self.status = OutputProgress(
            publication, publishing, changes=status.changes.after(publication, status.published)
        )
        self._events.published(self.name, status.published, publication)

    def _failed(self, error: BaseException) -> None:
        before = self.status.publishing
        why = redacted(failure_reason(error))
        if why != before.failing:
            _log.error(
                "publishing failed; trying again, what was published before stays",
                error=if_unexpected(error),
                output=self.name,
                reason=why,
            )
        publishing = replace(before, failures=before.failures + 1, failing=why)
        self.status = replace(self.status, publishing=publishing)
