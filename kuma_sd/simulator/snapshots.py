"""What a control plane believes to be the state of the world, encoded once for all streams."""

import threading
import uuid
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kuma_sd.simulator.content import Content
from kuma_sd.simulator.formats import Format


class Snapshot(NamedTuple):
    """One state of the world.

    Args:
        version: a random UUID, as Kuma makes them: equal states have other versions after a restart.
        resources: all resources, encoded, by transport.
    """

    version: str
    resources: Mapping[str, Sequence[bytes]]


class SnapshotCache:
    """Keeps the newest snapshot of some content; to be run in a thread.

    Args:
        content: what to take snapshots of.
        formats: the protocols to encode it for.
        refresh: seconds from one snapshot to the next; changes in between come together. With 0 the snapshot is taken
            before the call that changed the content returns.
        changed: notified after each new snapshot.
    """

    def __init__(
        self, content: Content, formats: Sequence[Format], refresh: float, changed: threading.Condition
    ) -> None:
        self._content = content
        self._renderers = {format_.transport: content.renderer(format_) for format_ in formats}
        self._refresh = refresh
        self._changed = changed
        self._renewing = threading.Lock()
        self._due = threading.Event()
        self._closed = threading.Event()
        self.snapshot = Snapshot("", {})
        content.subscribe(self._on_change)
        self._renew()

    def run(self) -> None:
        """Follow the content until closed."""
        while not self._closed.is_set():
            self._due.wait()
            self._due.clear()
            self._renew()
            self._closed.wait(self._refresh)

    def close(self) -> None:
        """End run()."""
        self._content.unsubscribe(self._on_change)
        self._closed.set()
        self._due.set()

    def _on_change(self) -> None:
        if self._refresh:
            self._due.set()
        else:
            self._renew()

    def _renew(self) -> None:
        with self._renewing:
            fresh = self._take()
            # As in Kuma a new version means that something differs.
            if fresh.resources != self.snapshot.resources:
                with self._changed:
                    self.snapshot = fresh
                    self._changed.notify_all()

    def _take(self) -> Snapshot:
        return Snapshot(str(uuid.uuid4()), {name: render() for name, render in self._renderers.items()})
