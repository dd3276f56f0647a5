"""The last good snapshot of each control plane, kept on disk, so that a restart begins with it."""

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from kuma_sd.core.errors import KumaSDError
from kuma_sd.core.mailbox import Mailbox
from kuma_sd.core.model import Assignment, Codec, Snapshot
from kuma_sd.core.options import show_duration
from kuma_sd.core.text import counted
from kuma_sd.plugin.interfaces import SourcePlugin
from kuma_sd.state import snapshot_file
from kuma_sd.state.directory import StateDirectory
from kuma_sd.system.durable_file import replace_file

_log = logging.getLogger(__name__)


class ConfiguredControlPlane(Protocol):
    """What is asked of a control plane in the settings."""

    @property
    def name(self) -> str:
        """Its name; empty for the only one that has none."""

    @property
    def address(self) -> object:
        """Its URL; as text without its secrets."""

    @property
    def plugin(self) -> SourcePlugin:
        """What speaks to it."""


@dataclass(frozen=True, slots=True)
class StateStatus:
    """How saving goes; replaced whole, never changed.

    Args:
        saved: when something was saved last, in seconds of ``time.time()``; None before the first time.
        saves: how many snapshots were saved.
        failures: how many attempts failed.
        failing: why the last attempt failed, or why there is no state at all; empty when all is well.
    """

    saved: float | None = None
    saves: int = 0
    failures: int = 0
    failing: str = ""


@dataclass(eq=False)
class _Owner:
    """A control plane whose snapshots are saved, and what its file holds as far as is known."""

    name: str
    title: str
    identity: str
    codec: Callable[[str], Codec]
    saved: Sequence[Assignment] | None = None


class State:
    """Saves snapshots in a thread of its own, and restores them at start.

    A control plane with a name is known by it, so that its address may change. One without is known by its address:
    what was saved of another one, a simulator say, is not restored for it.

    What may be published of a control plane is put into ``mailbox`` under its name. It is saved at once after a calm;
    what follows is gathered; and what is left is saved at the end.

    Args:
        directory: where files are kept; made if missing.
        control_planes: those in the settings.
        interval: the least time between two rounds of saving, in seconds.
    """

    def __init__(
        self, directory: Path, control_planes: Iterable[ConfiguredControlPlane], interval: float = 30.0
    ) -> None:
        self.mailbox: Mailbox[Snapshot] = Mailbox()
        self.status = StateStatus()
        self._directory = StateDirectory(directory)
        self._interval = interval
        self._owners = _owners(control_planes)
        self._pending: dict[_Owner, Snapshot] = {}
        self._last: Mapping[str, Snapshot] = {}
        self._usable = False
        self._closing = threading.Event()

    def start(self) -> None:
        """Claim the directory and tidy it up. If it cannot be had, this is logged, and nothing is restored or saved."""
        try:
            self._directory.claim()
        except KumaSDError as error:
            self.status = replace(self.status, failing=str(error))
            _log.warning("%s; going on without: after a restart, targets are known only when they come again", error)
            return
        self._usable = True
        self._directory.remove_leftovers()
        self._tidy()

    def restore(self, control_plane: str) -> Snapshot | None:
        """Read back what was saved last; a file that cannot be read is set aside, which is logged.

        Args:
            control_plane: its name.

        Returns:
            None if there is nothing; or if it is empty, which proves little: a control plane that restarts is empty
            before it is full. The snapshot's ``received`` is when it came originally; its ``connected`` lies infinitely
            far back.
        """
        owner = self._owners.get(control_plane)
        if owner is None or not self._usable:
            return None
        try:
            with self._directory.open(owner.identity) as file:
                snapshot = snapshot_file.read(file, owner.identity, control_plane, owner.codec)
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001 (whatever a file holds, the daemon starts; and codecs are plugins')
            self._set_aside(owner, error)
            return None
        owner.saved = snapshot.assignments
        count = counted(len(owner.saved), "target")
        age = show_duration(max(0, round(time.time() - snapshot.received)))
        _log.info("control plane %s: begins with %s, received %s ago", owner.title, count, age)
        return snapshot if snapshot.assignments else None

    def follow(self, control_planes: Iterable[ConfiguredControlPlane]) -> None:
        """Go on with these control planes, after a reload. Call it once nothing is put for the old ones any more.

        What was saved of others is deleted; what was saved of new ones can be restored.
        """
        before, after = self._owners, _owners(control_planes)
        for name, owner in after.items():
            if name in before and before[name].identity == owner.identity:
                before[name].codec = owner.codec
                after[name] = before[name]
        self._owners = after
        if "" in before and before[""] is not after.get(""):
            # It was the only one, and the next one may have no name either.
            self.mailbox.take(timeout=0)
        if self._usable:
            self._tidy()

    def run(self) -> None:
        """Save what comes, until closed, and then what is left."""
        if not self._usable:
            return
        due = 0.0
        while not self._closing.is_set():
            wait = max(0.0, due - time.monotonic()) if self._pending else None
            self._note(self.mailbox.take(wait))
            if self._pending and time.monotonic() >= due:
                self._write()
                due = time.monotonic() + self._interval
        self._save(self._last)
        self._directory.release()

    def close(self) -> None:
        """End run() once the newest is saved, from any thread."""
        self._last = self.mailbox.take(timeout=0)
        self._closing.set()
        self.mailbox.close()

    def _save(self, snapshots: Mapping[str, Snapshot]) -> None:
        self._note(snapshots)
        self._write()

    def _note(self, snapshots: Mapping[str, Snapshot]) -> None:
        """Take note of what has to be saved: what differs from what the file holds."""
        for name, snapshot in snapshots.items():
            if owner := self._owners.get(name):
                # The newest objects are kept, so that equal old ones are not kept alive; once they differ, none.
                assignments = list(snapshot.assignments)
                owner.saved = assignments if assignments == owner.saved else None
                if owner.saved is None:
                    self._pending[owner] = snapshot

    def _write(self) -> None:
        for owner, snapshot in list(self._pending.items()):
            if self._owners.get(owner.name) is not owner or self._is_written(owner, snapshot):
                del self._pending[owner]

    def _is_written(self, owner: _Owner, snapshot: Snapshot) -> bool:
        try:
            self._directory.claim()
            path = self._directory.file(owner.identity)
            replace_file(path, snapshot_file.write(snapshot, owner.identity), mode=0o600)
        except KumaSDError as error:
            self._failed(owner, str(error))
            return False
        except Exception as error:  # noqa: BLE001 (the boundary to plugins, whose keys and codecs these are)
            self._failed(owner, f"unexpected {type(error).__name__}: {error}", error)
            return False
        self._succeeded(owner)
        owner.saved = list(snapshot.assignments)
        return True

    def _succeeded(self, owner: _Owner) -> None:
        if self._owners.get(owner.name) is not owner:
            # It was removed from the settings meanwhile.
            self._tidy()
        if self.status.failing:
            _log.info("control plane %s: its targets are saved again", owner.title)
        self.status = replace(self.status, saved=time.time(), saves=self.status.saves + 1, failing="")

    def _failed(self, owner: _Owner, why: str, error: Exception | None = None) -> None:
        if why != self.status.failing:
            _log.warning(
                "control plane %s: %s; its targets are not saved, trying again", owner.title, why, exc_info=error
            )
        self.status = replace(self.status, failures=self.status.failures + 1, failing=why)

    def _set_aside(self, owner: _Owner, error: Exception) -> None:
        expected = isinstance(error, ValueError | OSError)
        why = str(error) if expected else f"cannot be read: unexpected {type(error).__name__}: {error}"
        if isinstance(error, OSError):
            why = f"cannot be read: {error.strerror}"
        path, aside = self._directory.file(owner.identity), self._directory.set_aside(owner.identity)
        _log.warning(
            "control plane %s: nothing is restored: %r %s%s",
            owner.title,
            str(path),
            why,
            f"; it was renamed to {aside.name}" if aside else "",
            exc_info=None if expected else error,
        )

    def _tidy(self) -> None:
        self._directory.keep_only({owner.identity for owner in self._owners.values()})


def _owners(control_planes: Iterable[ConfiguredControlPlane]) -> dict[str, _Owner]:
    """Return those whose plugins can read what is saved, by name."""
    return {
        control_plane.name: _Owner(
            control_plane.name,
            control_plane.name or str(control_plane.address),
            _identity(control_plane),
            control_plane.plugin.codec,
        )
        for control_plane in control_planes
        if control_plane.plugin.codec
    }


def _identity(control_plane: ConfiguredControlPlane) -> str:
    # Names have no dots, so that none looks like this.
    return control_plane.name or f"unnamed.{hashlib.sha256(str(control_plane.address).encode()).hexdigest()[:16]}"
