"""The thread of a control plane: it connects again and again."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from kuma_sd.core.errors import SourceError
from kuma_sd.core.model import SourceEvent
from kuma_sd.pipeline.backoff import Backoff
from kuma_sd.plugin.interfaces import Source

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
        control_plane: its name.
        source: where its snapshots come from.
        put: takes snapshots and losses of contact, and hands them to another thread.
    """

    def __init__(self, title: str, control_plane: str, source: Source, put: Callable[[SourceEvent], None]) -> None:
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
            self._put(snapshot)
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
