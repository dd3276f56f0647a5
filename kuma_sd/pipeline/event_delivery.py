"""Tell listeners of plugins what happened, in a thread of their own, so that nothing ever waits for them."""

import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from kuma_sd.core.logger import Logger
from kuma_sd.core.publication import Publication
from kuma_sd.core.secret import redacted
from kuma_sd.core.source_status import SourceStatus
from kuma_sd.pipeline.guard import GuardStatus
from kuma_sd.plugin.hook_implementations import Listener, Listeners
from kuma_sd.telemetry.status import EventsStatus, HookCall, HookFailures

_log = Logger(__name__)

MOST_WAITING = 1000
"""Maximum number of events that wait for listeners; further ones are dropped."""

LAST_CALLS_SECONDS = 0.5
"""How long events are still delivered after close(), in seconds; the daemon stops within 0.7 seconds."""

CALM_SECONDS = 300.0
"""How long no event may be dropped until the next drop is logged again, in seconds."""


class Events:
    """The door for everything that happens; its methods never block, and may be called in any thread.

    Publications of one output that wait for a slow listener are taken together, and never dropped: a publication holds
    everything. So at most one of each output is kept alive that the output itself has forgotten.

    Args:
        listeners: who is told.
    """

    def __init__(self, listeners: Listeners | None = None) -> None:
        self._listeners = listeners or {}
        self._changed = threading.Condition()
        self._waiting: deque[tuple[str, Mapping[str, Any]]] = deque()
        self._publications: dict[str, tuple[Publication | None, Publication]] = {}
        self._closed_at: float | None = None
        self._holding: dict[str, int] = {}
        self._reported: set[tuple[str, str, str]] = set()
        # Written by whoever tells, under the lock.
        self._dropped = 0
        self._dropped_at: float | None = None
        # Written by the events' own thread.
        self._delivered = 0
        self._failures: dict[str, HookFailures] = {}
        self._call: HookCall | None = None

    @property
    def status(self) -> EventsStatus:
        """What became of events so far; for any thread."""
        return EventsStatus(
            self._delivered, self._dropped, self._dropped_at, tuple(self._failures.values()), self._call
        )

    def replace_listeners(self, listeners: Listeners) -> None:
        """Tell others from now on, also what already waits."""
        self._listeners = listeners
        self._reported = set()

    def started(self, control_planes: Iterable[str], outputs: Iterable[str]) -> None:
        """Tell that the daemon started."""
        self._put("kuma_sd_started", control_planes=tuple(control_planes), outputs=tuple(outputs))

    def stopping(self) -> None:
        """Tell that the daemon begins to stop."""
        self._put("kuma_sd_stopping")

    def reloaded(self, error: str) -> None:
        """Tell that the settings were read again, and why they were refused; empty if they were not."""
        self._put("kuma_sd_reloaded", error=error)

    def connected(self, control_plane: str, status: SourceStatus) -> None:
        """Tell that a connection brought its first targets."""
        self._put("kuma_sd_connected", control_plane=control_plane, protocol=status.protocol, endpoint=status.endpoint)

    def connection_lost(self, control_plane: str, reason: str) -> None:
        """Tell that such a connection ended."""
        self._put("kuma_sd_connection_lost", control_plane=control_plane, reason=reason)

    def holds(self, guards: Mapping[str, GuardStatus]) -> None:
        """Tell which holds began, became suspicious or ended since the last call.

        Args:
            guards: the guard of each control plane.
        """
        before = self._holding
        held = {name: status.held for name, status in guards.items() if status.held.targets}
        self._holding = {name: 1 + held_targets.suspicious for name, held_targets in held.items()}
        for name, level in self._holding.items():
            if level > before.get(name, 0):
                self._put(
                    "kuma_sd_hold_began",
                    control_plane=name,
                    targets=held[name].targets,
                    reason=held[name].why,
                    suspicious=held[name].suspicious,
                )
        for name in before.keys() - self._holding.keys():
            self._put("kuma_sd_hold_ended", control_plane=name)

    def published(self, output: str, before: Publication | None, publication: Publication) -> None:
        """Tell that an output published something.

        Args:
            output: the output's name.
            before: what it published before; None if this is its first.
            publication: what it published.
        """
        if "kuma_sd_published" not in self._listeners:
            return
        with self._changed:
            if output in self._publications:
                before, _ = self._publications[output]
            else:
                self._waiting.append(("kuma_sd_published", {"output": output}))
            self._publications[output] = before, publication
            self._changed.notify()

    def run(self) -> None:
        """Call the listeners until closed, and then for what waits, at most for half a second."""
        while event := self._next():
            hook, arguments = event
            # What a reload publishes again is no news.
            if arguments.get("change", True):
                for listener in self._listeners.get(hook, ()):
                    self._tell(listener, hook, arguments)
                self._delivered += 1
            # While the next one is awaited, no publication may stay.
            del event, arguments

    def close(self) -> None:
        """End run(), from any thread."""
        with self._changed:
            self._closed_at = time.monotonic()
            self._changed.notify()

    def _put(self, hook: str, **arguments: object) -> None:
        if hook not in self._listeners:
            return
        with self._changed:
            is_full = len(self._waiting) >= MOST_WAITING
            if not is_full:
                self._waiting.append((hook, arguments))
                self._changed.notify()
                return
            now, before = time.time(), self._dropped_at
            self._dropped = self._dropped + 1
            self._dropped_at = now
        if before is None or now - before > CALM_SECONDS:
            slow = self._call
            _log.warning(
                "events are dropped because a plugin's hook does not keep up",
                plugin=slow and slow.plugin,
                hook=slow and slow.hook,
            )

    def _next(self) -> tuple[str, Mapping[str, Any]] | None:
        """Wait for an event and take it; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed_at is not None)
            is_late = self._closed_at is not None and time.monotonic() - self._closed_at > LAST_CALLS_SECONDS
            if is_late or not self._waiting:
                return None
            hook, arguments = self._waiting.popleft()
            if hook != "kuma_sd_published":
                return hook, arguments
            before, publication = self._publications.pop(arguments["output"])
        return hook, {**arguments, "publication": publication, "change": publication.since(before)}

    def _tell(self, listener: Listener, hook: str, arguments: Mapping[str, Any]) -> None:
        self._call = HookCall(listener.plugin, hook, time.time())
        try:
            listener.call(**arguments)
        except BaseException as error:  # noqa: BLE001 (the boundary to plugins, which end nothing)
            self._note_failure(listener.plugin, hook, error)
        finally:
            self._call = None

    def _note_failure(self, plugin: str, hook: str, error: BaseException) -> None:
        reason = redacted(f"{type(error).__name__}: {error}")
        calls = self._failures[plugin].calls + 1 if plugin in self._failures else 1
        # Replaced as a whole, since other threads read it.
        self._failures = self._failures | {plugin: HookFailures(plugin, calls, hook, time.time(), reason)}
        # Log each kind once, since a hook may fail at every event.
        kind = plugin, hook, type(error).__name__
        if kind not in self._reported:
            self._reported.add(kind)
            _log.error("a plugin's hook fails", error=error, plugin=plugin, hook=hook, reason=reason)
