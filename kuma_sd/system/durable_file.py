"""Durable files: written completely or not at all, with readable permissions, replaced atomically."""

import contextlib
import errno
import grp
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path

from kuma_sd.core.errors import OutputError
from kuma_sd.core.regular_file import open_regular
from kuma_sd.system.directories import flush, sync_directory
from kuma_sd.system.file_lock import FileLock, LockedError
from kuma_sd.system.output_path import check_output_path, resolve_links
from kuma_sd.system.staging import STAGING, open_staging
from kuma_sd.system.trusted_paths import check_made_by_us

__all__ = ["FileClaim", "file_holds", "remove_leftovers", "replace_file"]


class FileClaim:
    """The exclusive right to write a file; also creates the directories that replace_file() needs.

    Args:
        path: the file.

    Raises:
        OutputError: it cannot be replaced, its directory cannot be created or written, or another process writes it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = _lock_of(path)
        check_output_path(path)
        self.renew()

    def renew(self) -> None:
        """Check that the lock still holds; the directory may have been removed together with the lock.

        Raises:
            OutputError: as in the constructor.
        """
        path = resolve_links(self._path)
        if self._lock.path != _lock_of(path).path:
            # The target of a symbolic link has changed.
            self.release()
            self._lock = _lock_of(path)
        try:
            with open_staging(path.parent) as staging:
                if self._lock.acquire(staging.folder):
                    _remove_leftovers(staging.folder, path.name)
        except LockedError as error:
            raise OutputError(
                f"another kuma-sd writes {str(self._path)!r} already; give one of them another path"
            ) from error
        except OSError as error:
            directory = str(self._path.parent)
            raise OutputError(f"cannot write into the directory {directory!r}: {error.strerror}") from error

    def release(self) -> None:
        """Release the lock."""
        self._lock.release()


def replace_file(path: Path, chunks: Iterable[bytes], mode: int = 0o644, group: str = "") -> os.stat_result:
    """Replace a file's content atomically; a crash at any moment leaves the old or the new content.

    Args:
        path: the file, or a link to it; its directory is created again if it was removed.
        chunks: the content in pieces, so that it is never in memory as a whole.
        mode: the permissions.
        group: the name of the owning group; empty for the process's own.

    Returns:
        The file's status after writing, for file watchers.

    Raises:
        OutputError: the file was not replaced; the old file is unchanged.
    """
    group_id, real = _group_id(group), resolve_links(path)
    try:
        with open_staging(real.parent) as staging:
            temporary = f"{real.name}.{os.urandom(4).hex()}.tmp"
            try:
                written = _write(temporary, staging.folder, chunks, mode, group_id)
                os.replace(temporary, real.name, src_dir_fd=staging.folder, dst_dir_fd=staging.directory)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary, dir_fd=staging.folder)
                raise
            sync_directory(real.parent, staging.directory)
            return written
    except OSError as error:
        raise OutputError(f"cannot write {str(path)!r}: {_reason(error)}") from error


def file_holds(path: Path, chunks: Iterable[bytes], mode: int = 0o644, group: str = "") -> bool:
    """Tell whether a file of ours has exactly this content, these permissions and, if one is named, this group."""
    try:
        with open_regular(path) as file:
            status = os.fstat(file.fileno())
            check_made_by_us(path, status)
            if stat.S_IMODE(status.st_mode) != mode or _group_id(group) not in (-1, status.st_gid):
                return False
            return all(file.read(len(chunk)) == chunk for chunk in chunks) and not file.read(1)
    except (OSError, OutputError):
        return False


def remove_leftovers(path: Path) -> None:
    """Remove leftovers of processes that were killed while they replaced a file. Call only with the right to write it.

    Raises:
        OutputError: its directory cannot be written.
    """
    real = resolve_links(path)
    try:
        with open_staging(real.parent) as staging:
            _remove_leftovers(staging.folder, real.name)
    except OSError as error:
        raise OutputError(f"cannot write into the directory {str(path.parent)!r}: {error.strerror}") from error


def _lock_of(path: Path) -> FileLock:
    return FileLock(path.parent / STAGING / f"{path.name}.lock")


def _remove_leftovers(folder: int, name: str) -> None:
    """Remove the leftovers of killed processes for this file only."""
    ours = re.compile(re.escape(name) + r"\.[0-9a-f]{8}\.tmp")
    for leftover in filter(ours.fullmatch, os.listdir(folder)):
        with contextlib.suppress(OSError):
            os.unlink(leftover, dir_fd=folder)


def _group_id(group: str) -> int:
    if not group:
        return -1
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise OutputError(f"there is no group {group!r} to give the file to") from error


def _write(name: str, folder: int, chunks: Iterable[bytes], mode: int, group_id: int) -> os.stat_result:
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
    try:
        for chunk in chunks:
            rest = memoryview(chunk)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        # Set the group first: changing it clears the set-ID bits.
        os.fchown(descriptor, -1, group_id)
        os.fchmod(descriptor, mode)
        flush(descriptor)
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: OSError) -> str:
    if error.errno == errno.EBUSY:
        return "it is a mount of its own, which cannot be replaced; mount its directory instead"
    return error.strerror or str(error)
