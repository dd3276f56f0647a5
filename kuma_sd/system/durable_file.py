"""Durable files: whole or not at all, readable by their readers, and replaced in one step."""

import errno
import fcntl
import glob
import grp
import os
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from kuma_sd.core.errors import OutputError
from kuma_sd.system.file_watcher import FileWatcher

__all__ = ["WORKSHOP", "FileClaim", "FileWatcher", "file_holds", "replace_file"]

WORKSHOP = ".kuma-sd"
"""The folder beside a file in which its next version is written.

On the same file system, so that it can be renamed; in a folder of its own, because Prometheus reads every file of a job
again whenever anything in the directory it watches changes.
"""


class FileClaim:
    """The right to write a file, which only one process has; also makes the directories that replace_file() needs.

    Args:
        path: the file.

    Raises:
        OutputError: its directory cannot be made or written, or another process writes it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: BinaryIO | None = None
        self.renew()

    def renew(self) -> None:
        """Make sure that it holds, since somebody may have removed the directory and the lock with it.

        Raises:
            OutputError: as when it was made.
        """
        workshop = self._path.parent / WORKSHOP
        place = workshop / f"{self._path.name}.lock"
        if self._lock and place.exists() and os.path.samestat(os.fstat(self._lock.fileno()), place.stat()):
            return
        self.release()
        try:
            _make_directory(self._path.parent, 0o755)
            _make_directory(workshop, 0o700)
            lock = place.open("ab")
        except OSError as error:
            directory = str(self._path.parent)
            raise OutputError(f"cannot write into the directory {directory!r}: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            path = str(self._path)
            raise OutputError(f"another kuma-sd writes {path!r} already; give one of them another path") from error
        self._lock = lock
        # What a process that was killed left behind.
        for leftover in workshop.glob(f"{glob.escape(self._path.name)}.*.tmp"):
            leftover.unlink(missing_ok=True)

    def release(self) -> None:
        """Let others have it."""
        if self._lock:
            self._lock.close()
            self._lock = None


def replace_file(path: Path, chunks: Iterable[bytes], mode: int = 0o644, group: str = "") -> None:
    """Replace a file by new content in one step that survives a crash at any moment.

    Args:
        path: the file; its directory is made again if somebody removed it.
        chunks: the content, in pieces, so that it never has to be in memory at once.
        mode: the permissions.
        group: the name of the group that shall own it; empty for the process's own.

    Raises:
        OutputError: it did not work; the old file is untouched.
    """
    group_id = _group_id(group)
    try:
        workshop = path.parent / WORKSHOP
        _make_directory(path.parent, 0o755)
        _make_directory(workshop, 0o700)
        descriptor, name = tempfile.mkstemp(prefix=f"{path.name}.", suffix=".tmp", dir=workshop)
        try:
            with open(descriptor, "wb", buffering=0) as file:  # noqa: PTH123 (a descriptor, no path)
                _write(file.fileno(), chunks)
                os.fchmod(file.fileno(), mode)
                os.fchown(file.fileno(), -1, group_id)
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        _sync_directory(path.parent)
    except OSError as error:
        raise OutputError(f"cannot write {str(path)!r}: {error.strerror}") from error


def file_holds(path: Path, chunks: Iterable[bytes], mode: int = 0o644) -> bool:
    """Tell whether a file has exactly this content and these permissions."""
    try:
        with path.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) != mode:
                return False
            return all(file.read(len(chunk)) == chunk for chunk in chunks) and not file.read(1)
    except OSError:
        return False


def _make_directory(path: Path, mode: int) -> None:
    try:
        path.mkdir(mode=mode, parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from error


def _group_id(group: str) -> int:
    if not group:
        return -1
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise OutputError(f"there is no group {group!r} to give the file to") from error


def _write(descriptor: int, chunks: Iterable[bytes]) -> None:
    for chunk in chunks:
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(descriptor, rest) :]


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
