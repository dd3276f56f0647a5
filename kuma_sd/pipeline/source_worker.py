"""Run the source of a control plane in a thread: connect again and again."""

import dataclasses
import threading
import time
from collections.abc import Callable

from msgspec.structs import replace

from kuma_sd.core.errors import ConnectionClosedError, SourceError, failure_reason, if_unexpected, without_frames
from kuma_sd.core.logger import Logger
from kuma_sd.core.model import ContactLost, SourceEvent
from kuma_sd.core.secret import redacted
from kuma_sd.pipeline.backoff import Backoff
from kuma_sd.pipeline.connection_log import ConnectionLog
from kuma_sd.pipeline.contact_loss import Contact
from kuma_sd.pipeline.event_delivery import Events
from kuma_sd.plugin.interfaces import Source
from kuma_sd.telemetry.control_plane_status import ConnectionStatus

_log = Logger(__name__)


class SourceWorker:
    """Consumes the snapshots of one control plane, connecting again and again.

    Args:
        title: the control plane's name in the log.
        control_plane: its name.
        source: its source.
        put: takes snapshots, and the event that the contact was lost.
        events: told when a connection is made and lost.
    """

    def __init__(
        self,
        title: str,
        control_plane: str,
        source: Source,
        put: Callable[[SourceEvent], None],
        events: Events | None = None,
    ) -> None:
        self.title = title
        self.source = source
        self.status = ConnectionStatus()
        self._control_plane = control_plane
        self._put = put
        self._log = ConnectionLog(title, lambda: source.status)
        self._events = events or Events()
        self._contact = Contact()
        self._made = 0.0
        self._backoff = Backoff()
        self._closing = threading.Event()

    def run(self) -> None:
        """Iterate over the source until closed."""
        while not self._closing.is_set():
            self.status = replace(self.status, attempts=self.status.attempts + 1)
            leave_alone = self._attempt()
            if self._closing.is_set():
                return
            pause = self._backoff.next(leave_alone)
            _log.debug("connecting again after a pause", control_plane=self.title, seconds=round(pause, 3))
            self._closing.wait(pause)

    def close(self) -> None:
        """End run() immediately, from any thread."""
        self._closing.set()
        self.source.close()
        self._log.close()

    def _attempt(self) -> float:
        """Use one connection until it ends; return the minimum wait that the server asked for, in seconds."""
        error: Exception | SystemExit = ConnectionClosedError("it ended the stream", orderly=True)
        try:
            self._connection()
        except (Exception, SystemExit) as failure:  # noqa: BLE001 (the boundary to plugins)
            error = failure
        if not self._closing.is_set():
            self._ended(error, time.monotonic())
        # Nothing of a failed connection may stay in memory during the pause.
        without_frames(error)
        return error.retry_after if isinstance(error, SourceError) else 0.0

    def _connection(self) -> None:
        for snapshot in self.source:
            status = self.source.status
            began = self._contact.began(snapshot.connected, status.protocol, status.endpoint)
            self._put(dataclasses.replace(snapshot, connected=began, unbroken_since=self._contact.unbroken_since))
            self._note_snapshot(len(snapshot.unreadable))
            _log.debug(
                "snapshot received",
                control_plane=self.title,
                assignments=len(snapshot.assignments),
                unreadable=len(snapshot.unreadable),
            )
            # Free this snapshot while waiting for the next one.
            del snapshot

    def _note_snapshot(self, unreadable: int) -> None:
        if not self.status.up:
            self._made = time.monotonic()
            self._log.made()
            self._events.connected(self.title, self.source.status)
        snapshots = self.status.snapshots + 1
        self.status = replace(self.status, snapshots=snapshots, unreadable=unreadable, up=True, failing="")

    def _ended(self, error: BaseException, now: float) -> None:
        """Record that a connection was lost, or that an attempt failed."""
        why = redacted(failure_reason(error))
        closed = error if self.status.up and isinstance(error, ConnectionClosedError) else None
        if self.status.up:
            self._contact.broke(now, was_ended=bool(closed and closed.orderly))
            self._events.connection_lost(self.title, why)
            self._backoff.connection_ended(now - self._made)
        if not closed and (lost := self._contact.failed()) is not None:
            self._put(ContactLost(self._control_plane, lost))
        self.status = replace(self.status, up=False, failing=why)
        self._log.lost(why, if_unexpected(error))
