"""Manage the state directory: who uses it, and its files, one for each control plane."""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from kuma_sd.core.close_on_error import close_on_error
from kuma_sd.core.errors import KumaSDError
from kuma_sd.core.logger import Logger
from kuma_sd.state.file_names import QUARANTINED, SavedFile, file_of, saved_file
from kuma_sd.state.set_aside_files import delete_removed, set_aside_removed, set_aside_unreadable, without_old
from kuma_sd.system.directories import OpenDirectory, open_directory
from kuma_sd.system.durable_file import replace_staged
from kuma_sd.system.file_lock import FileLock, LockedError
from kuma_sd.system.staging import STAGING, Staging
from kuma_sd.system.trust_rules import UntrustedError, check_made_by_us
from kuma_sd.system.trusted_files import open_trusted_in

_log = Logger(__name__)

STATE_MODE = 0o750
"""Permissions of a state directory that is made."""

LOCK = "kuma-sd.lock"

STOPPED = "kuma-sd.stopped"
"""Name of the file that exists while no process runs and the last one saved everything.

It holds when that process stopped, in seconds of ``time.time()``: copies of a file do not keep its modification time.
"""

_LONGEST_MARK = 64


class StateDirectory:
    """A state directory, used by one process at a time.

    It is opened when it is claimed, and all files are reached by its descriptor.

    Args:
        path: its path; created if missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: OpenDirectory | None = None
        self._lock = FileLock()

    def claim(self) -> bool:
        """Open and lock the directory; again, if it was replaced meanwhile.

        Returns:
            Whether it was locked just now, so that its content is not known.

        Raises:
            KumaSDError: it cannot be created or written, or another process uses it.
        """
        try:
            opened = open_directory(self._path, STATE_MODE)
            with close_on_error(opened):
                is_new = self._lock.acquire(opened, LOCK)
        except LockedError as error:
            raise KumaSDError(
                f"another kuma-sd uses the state directory {str(self._path)!r}; give one of them another"
            ) from error
        except OSError as error:
            raise KumaSDError(f"cannot write into the state directory {str(self._path)!r}: {error.strerror}") from error
        self._close()
        self._opened = opened
        if is_new:
            self._warn_of_owner()
        return is_new

    def release(self) -> None:
        """Unlock the directory."""
        self._lock.release()
        self._close()

    @property
    def opened(self) -> OpenDirectory:
        """The directory that was claimed."""
        assert self._opened is not None
        return self._opened

    def replace(self, name: str, content: Iterable[bytes]) -> os.stat_result:
        """Write a control plane's file, and return its status. What was removed under that name is outdated.

        Raises:
            KumaSDError: it cannot be written; the old file is unchanged.
        """
        written = self.write(file_of(name), content)
        delete_removed(self.opened, name)
        return written

    def write(self, file: str, content: Iterable[bytes]) -> os.stat_result:
        """Write a file, and return its status.

        Raises:
            KumaSDError: it cannot be written; the old file is unchanged.
        """
        try:
            with self.opened.private_directory(STAGING) as folder:
                return replace_staged(Staging(self.opened, folder, file), content, 0o600)
        except OSError as error:
            raise KumaSDError(f"cannot write {str(self._path / file)!r}: {error.strerror}") from error

    def set_aside(self, file: SavedFile) -> Path | None:
        """Rename an unreadable file, to keep it for inspection.

        Returns:
            Its new path; None if it could not be renamed.
        """
        try:
            return self._path / set_aside_unreadable(self.opened, file)
        except OSError:
            return None

    def remove_leftovers(self) -> None:
        """Remove temporary files of a process that was killed; call this before writing."""
        with contextlib.suppress(OSError), self.opened.private_directory(STAGING) as folder:
            for name in folder.names():
                file = name.rsplit(".", 2)[0]
                if name.endswith(".tmp") and (file == QUARANTINED or saved_file(file)):
                    folder.unlink(name)

    def saved(self) -> list[SavedFile]:
        """List the files that may be read back, and delete those that were removed long ago."""
        with contextlib.suppress(OSError):
            found = [file for file in map(saved_file, self.opened.names()) if file and file.state != "bad"]
            return without_old(self.opened, found)
        return []

    def open(self, file: SavedFile) -> BinaryIO:
        """Open a file that no other user can have written.

        Raises:
            UntrustedError: another user can have written it.
            OSError: it cannot be opened.
        """
        return open_trusted_in(self.opened, file.file)

    def path_of(self, file: SavedFile) -> Path:
        """Return the path of a file, for messages."""
        return self._path / file.file

    def remove(self, name: str) -> None:
        """Rename a control plane's file, to be deleted a day later."""
        if self._opened:
            with contextlib.suppress(OSError):
                set_aside_removed(self.opened, name)

    def has(self, files: Iterable[str]) -> bool:
        """Tell whether all these files exist where the path leads now."""
        try:
            with open_directory(self._path) as present:
                return set(files) <= set(present.names())
        except OSError:
            return False

    def take_stopped(self, now: float) -> float | None:
        """Return when the last process that used this directory stopped, and clear that mark.

        Args:
            now: the current time, in seconds of ``time.time()``.

        Returns:
            The time, in seconds of ``time.time()``. None if that process did not save everything at its end, or if the
            time cannot be known: it is unreadable, or the clock was set back behind it.
        """
        try:
            with open_trusted_in(self.opened, STOPPED) as mark:
                stopped = float(mark.read(_LONGEST_MARK))
            self.opened.unlink(STOPPED)
        except (OSError, ValueError):
            return None
        return stopped if 0 <= stopped <= now else None

    def mark_stopped(self, now: float) -> None:
        """Mark that this process saved everything, at its end.

        Args:
            now: the current time, in seconds of ``time.time()``.
        """
        if self._opened:
            # Never written into what is there: it may be a link (link(2)) to another file of ours.
            with contextlib.suppress(OSError):
                with contextlib.suppress(FileNotFoundError):
                    self._opened.unlink(STOPPED)
                descriptor = self._opened.open(STOPPED, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
                with os.fdopen(descriptor, "w", encoding="ascii") as mark:
                    mark.write(f"{now!r}\n")

    def _close(self) -> None:
        if self._opened:
            self._opened.close()
            self._opened = None

    def _warn_of_owner(self) -> None:
        """Warn of a directory of another user: his files in it are not believed, but he can remove ours."""
        try:
            check_made_by_us(self._path, self.opened.status(), self.opened.descriptor)
        except UntrustedError as error:
            _log.warning("another user can remove what is saved; give the directory to kuma-sd", reason=error.strerror)
