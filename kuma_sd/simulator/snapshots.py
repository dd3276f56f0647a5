"""Take snapshots of the content, encoded once for all streams."""

import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from kuma_sd.simulator.content import Content
from kuma_sd.simulator.encoders import Encoder


class XdsSnapshot(NamedTuple):
    """One state of the content.

    Args:
        version: a random UUID, as in Kuma: equal states have other versions after a restart.
        resources: all encoded resources, by transport.
    """

    version: str
    resources: Mapping[str, Sequence[bytes]]


class SnapshotCache:
    """Keeps the newest snapshot of some content; runs in a thread.

    Args:
        content: the content.
        refresh: the seconds between two snapshots; changes in between are batched. With 0, the snapshot is taken
            before the call that changed the content returns.
        changed: notified after each new snapshot, and at the end.
    """

    def __init__(self, content: Content, refresh: float, changed: threading.Condition) -> None:
        self._content = content
        self._renderers: dict[str, Callable[[], list[bytes]]] = {}
        self._refresh = refresh
        self._changed = changed
        self._renewing = threading.Lock()
        self._due = threading.Event()
        self._closed = threading.Event()
        self.snapshot = XdsSnapshot(str(uuid.uuid4()), {})
        content.subscribe(self._on_change)

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self._closed.is_set()

    def use(self, format_: Encoder) -> None:
        """Encode snapshots for a protocol, from the current one on; others are not encoded."""
        with self._renewing:
            if format_.transport in self._renderers:
                return
            render = self._renderers[format_.transport] = self._content.renderer(format_)
            resources = {**self.snapshot.resources, format_.transport: render()}
            with self._changed:
                self.snapshot = XdsSnapshot(self.snapshot.version, resources)

    def run(self) -> None:
        """Follow the content until closed."""
        while not self._closed.is_set():
            self._due.wait()
            self._due.clear()
            self._renew()
            self._closed.wait(self._refresh)

    def close(self) -> None:
        """End run(), and wake the threads that wait for `closed`."""
        self._content.unsubscribe(self._on_change)
        self._closed.set()
        self._due.set()
        with self._changed:
            self._changed.notify_all()

    def _on_change(self) -> None:
        if self._refresh:
            self._due.set()
        else:
            self._renew()

    def _renew(self) -> None:
        with self._renewing:
            resources = {transport: render() for transport, render in self._renderers.items()}
            # As in Kuma, a new version means a change.
            if resources != self.snapshot.resources:
                with self._changed:
                    self.snapshot = XdsSnapshot(str(uuid.uuid4()), resources)
                    self._changed.notify_all()
