"""The thread of an output: it publishes the newest publication, and tries again when that fails."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from kuma_sd.core.errors import OutputError
from kuma_sd.core.mailbox import Mailbox
from kuma_sd.core.publication import Publication
from kuma_sd.core.text import counted
from kuma_sd.pipeline.backoff import Backoff
from kuma_sd.plugin.interfaces import Output
from kuma_sd.telemetry.histogram import Histogram

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OutputProgress:
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
        self.status = OutputProgress()
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
        self.status = OutputProgress(publication, now, publications, status.failures, failing="", seconds=seconds)

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
