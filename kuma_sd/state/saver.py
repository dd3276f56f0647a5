"""Save the last good targets of each control plane on disk, so that a restart publishes them."""

import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path

from msgspec.structs import replace

from kuma_sd.core.errors import KumaSDError
from kuma_sd.core.logger import Logger
from kuma_sd.core.mailbox import Mailbox
from kuma_sd.core.model import Codec, LastGoodTargets
from kuma_sd.state import snapshot_file
from kuma_sd.state.appending import AppendedFile
from kuma_sd.state.directory import StateDirectory
from kuma_sd.state.file_names import QUARANTINED, file_of
from kuma_sd.state.quarantine_file import QuarantinedGroups, QuarantineFile
from kuma_sd.state.restorer import Restored, restore
from kuma_sd.telemetry.status import StateStatus

_log = Logger(__name__)

PAUSE_SECONDS = 0.5
"""Minimum time between two rounds of saving, in seconds; changes in between are batched."""

SHARE = 4
"""Wait before the next round, as a multiple of the last one's duration, so that large lists do not take all the CPU."""

LONGEST_RETRY_SECONDS = 30.0
"""Maximum wait until a failed save is retried, in seconds."""

CHECK_SECONDS = 10.0
"""Interval of the check that the files still exist, in seconds."""


Item = LastGoodTargets | QuarantinedGroups | None


class State:
    """Saves the last good targets in its own thread, and restores them at the start.

    The mailbox holds the newest targets of each control plane, and None if it was removed, by the name of its file and
    whether it was removed: a removal does not supersede the targets. The groups of quarantined targets have a file of
    their own. A directory that cannot be used is retried until it can; this delays no publication.

    Args:
        path: the directory of the files; created if missing.
        pause: the minimum time between two rounds of saving, in seconds.
    """

    def __init__(self, path: Path, pause: float = PAUSE_SECONDS) -> None:
        self.mailbox: Mailbox[Item] = Mailbox()
        self.status = StateStatus()
        self._directory = StateDirectory(path)
        self._quarantine = QuarantineFile(self._directory)
        self._pause = pause
        # The wanted content of each file, and its known content: mostly the same objects.
        self._newest: dict[str, LastGoodTargets] = {}
        self._written: dict[str, LastGoodTargets] = {}
        # The files to which changes can be appended.
        self._appended: dict[str, AppendedFile] = {}
        self._last: dict[tuple[str, bool], Item] = {}
        self._retry = 0.0
        self._closing = threading.Event()

    def save(self, last_good: LastGoodTargets) -> None:
        """Save the published targets of a control plane; called from any thread."""
        self.mailbox.put((last_good.file, False), last_good)

    def save_quarantined(self, quarantined: QuarantinedGroups) -> None:
        """Save what is published of quarantined targets; called from any thread."""
        self.mailbox.put((QUARANTINED, False), quarantined)

    def remove(self, name: str) -> None:
        """Set aside the file of a control plane that is no longer in the settings; called from any thread."""
        self.mailbox.put((name, True), None)

    def restore(self, names: Collection[str], codec: Callable[[str], Codec]) -> Restored:
        """Lock the directory and read the saved targets; unreadable files are set aside and logged.

        Args:
            names: the names of the control planes in the settings.
            codec: returns the codec of a name; raises KeyError for an unknown one.
        """
        try:
            self._directory.claim()
        except KumaSDError as error:
            self.status = replace(self.status, failing=str(error))
            _log.warning("the state directory cannot be used; trying again, and going on without it", reason=error)
            return Restored()
        restored = restore(self._directory, names, codec)
        self._newest = {found.file: found for found in restored.last_good}
        self._written = self._newest.copy()
        return replace(restored, quarantined=self._quarantine.read())

    def run(self) -> None:
        """Save targets until closed, then save what is left."""
        due = check = 0.0
        while not self._closing.is_set():
            self._note(self.mailbox.take(max(0.0, (due if self._unsaved else check) - time.monotonic())))
            now = time.monotonic()
            if now >= check:
                self._check()
                check = now + CHECK_SECONDS
            if self._unsaved and now >= due:
                due = now + self._write(self._pending)
        self._note(self._last)
        self._write(self._pending)
        if not self._unsaved and not self.status.failing:
            self._directory.mark_stopped(time.time())
        self._directory.release()

    def close(self) -> None:
        """End run() once the newest targets are saved; called from any thread."""
        self._last = self.mailbox.take(timeout=0)
        self._closing.set()
        self.mailbox.close()

    @property
    def _pending(self) -> list[str]:
        return [name for name in self._newest if name not in self._written]

    @property
    def _unsaved(self) -> bool:
        return bool(self._pending) or self._quarantine.pending

    def _note(self, changes: dict[tuple[str, bool], Item]) -> None:
        """Record which files have to be saved: those whose content differs from the targets."""
        for (name, _), last_good in changes.items():
            if last_good is None:
                self._set_aside(name)
                continue
            if not isinstance(last_good, LastGoodTargets):
                self._quarantine.note(last_good)
                continue
            written = self._written.pop(name, None)
            self._newest[name] = last_good
            if name in self._appended and not self._appended[name].note(last_good):
                del self._appended[name]
            # Keep the newest objects, so that equal older ones are freed; keep none once they differ.
            if written and _content(written) == _content(last_good):
                self._written[name] = last_good

    def _set_aside(self, name: str) -> None:
        """Keep a file as its control plane was when it was removed, in case it comes back."""
        if name in self._pending:
            self._write([name])
        for known in (self._newest, self._written, self._appended):
            known.pop(name, None)
        self._directory.remove(name)

    def _check(self) -> None:
        """Save everything again if the directory was replaced, or a file in it was deleted."""
        if not self._directory.has([*map(file_of, self._written), *self._quarantine.files]):
            self._written.clear()
            self._quarantine.forget()

    def _write(self, names: Collection[str]) -> float:
        """Write these files, and return how long to wait until the next round, in seconds."""
        began = time.monotonic()
        try:
            if names or self._quarantine.pending:
                self._write_all(names)
        except KumaSDError as error:
            return self._failed(str(error))
        except (Exception, SystemExit) as error:  # noqa: BLE001 (the boundary to plugins, whose keys and codecs these are)
            return self._failed(f"unexpected {type(error).__name__}: {error}", error)
        self._retry = 0.0
        return max(self._pause, SHARE * (time.monotonic() - began))

    def _write_all(self, names: Collection[str]) -> None:
        if self._directory.claim():
            # The directory was replaced.
            self._written.clear()
            self._quarantine.forget()
            names = self._pending
        # First: at a reload it is known before the snapshots, and it holds for older ones of these too.
        self._quarantine.write()
        for name in names:
            self._write_file(name, self._newest[name])
        if self.status.failing and not self._unsaved:
            _log.info("the last good targets are saved again")
            self.status = replace(self.status, failing="")

    def _write_file(self, name: str, last_good: LastGoodTargets) -> None:
        appended = self._appended.pop(name, None)
        if not (appended and appended.append(self._directory.opened)):
            appended = self._write_whole(name, last_good)
        self._appended[name] = appended
        self._written[name] = last_good
        _log.debug("saved the last good targets", file=name, targets=len(last_good.assignments))
        self.status = replace(self.status, saved=time.time(), saves=self.status.saves + 1)

    def _write_whole(self, name: str, last_good: LastGoodTargets) -> AppendedFile:
        checksums = list[int]()
        written = self._directory.replace(name, snapshot_file.write_last_good(last_good, name, checksums.append))
        return AppendedFile(file_of(name), written, checksums[-1], last_good)

    def _failed(self, why: str, error: BaseException | None = None) -> float:
        if why != self.status.failing:
            _log.warning("the last good targets are not saved; trying again", reason=why, error=error)
        self.status = replace(self.status, failures=self.status.failures + 1, failing=why)
        self._retry = min(LONGEST_RETRY_SECONDS, max(self._pause, self._retry * 2))
        return self._retry


def _content(last_good: LastGoodTargets) -> tuple[object, ...]:
    """Return the parts whose change requires a save."""
    return last_good.facts, list(last_good.assignments)
