"""Durable files: written completely or not at all, with readable permissions, replaced atomically."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from kuma_sd.core.errors import OutputError
from kuma_sd.core.regular_file import open_regular
from kuma_sd.core.resource_limits import exhausted_resource
from kuma_sd.system.directories import OpenDirectory, flush, open_path
from kuma_sd.system.file_group import give, group_id
from kuma_sd.system.file_lock import FileLock, LockedError
from kuma_sd.system.lock_file_fault import fault_of_lock_file
from kuma_sd.system.output_path import check_output_path
from kuma_sd.system.staging import STAGING, Staging, is_temporary_name, lock_name, open_staging, temporary_name
from kuma_sd.system.trust_rules import check_made_by_us
from kuma_sd.system.writability import check_can_make, check_writable, fault_of_replacement

__all__ = ["FileClaim", "check_claim", "file_holds", "remove_leftovers", "replace_file", "replace_staged"]


class FileClaim:
    """The exclusive right to write a file; also creates the directories that replace_file() needs.

    Args:
        path: the file.

    Raises:
        OutputError: it cannot be replaced, its directory cannot be created or written, or another process writes it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = FileLock()
        check_output_path(path)
        self.renew()

    def renew(self) -> None:
        """Check that the lock still holds; the directory may have been removed together with the lock.

        Raises:
            OutputError: as in the constructor.
        """
        try:
            with open_staging(self._path) as staging:
                if self._lock.acquire(staging.folder, lock_name(staging.name)):
                    _remove_leftovers(staging)
        except LockedError as error:
            raise OutputError(
                f"another kuma-sd writes {str(self._path)!r} already; give one of them another path"
            ) from error
        except OSError as error:
            raise _unwritable(self._path, error) from error

    def release(self) -> None:
        """Release the lock."""
        self._lock.release()


def check_claim(path: Path) -> None:
    """Reject a file that FileClaim() would reject, or that replace_file() could not replace, as far as can be seen.

    Nothing is made, locked or changed.

    Args:
        path: the file.

    Raises:
        OutputError: as by FileClaim().
    """
    check_output_path(path)
    try:
        _check_claim(path)
    except OSError as error:
        raise _unwritable(path, error) from error


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
    number = group_id(group)
    try:
        with open_staging(path) as staging:
            return replace_staged(staging, chunks, mode, number)
    except OSError as error:
        raise OutputError(f"cannot write {str(path)!r}: {_reason(error)}") from error


def replace_staged(staging: Staging, chunks: Iterable[bytes], mode: int = 0o644, group: int = -1) -> os.stat_result:
    """Replace a file as `replace_file()` does.

    Args:
        staging: where it is.
        chunks: the content in pieces.
        mode: the permissions.
        group: the number of the owning group; -1 for the process's own.

    Raises:
        OSError: the file was not replaced; the old file is unchanged.
    """
    temporary = temporary_name(staging.name)
    try:
        written = _write(temporary, staging.folder, chunks, mode, group)
        _move(temporary, staging)
    except BaseException:
        with contextlib.suppress(OSError):
            staging.folder.unlink(temporary)
        raise
    staging.directory.sync()
    return written


def file_holds(path: Path, chunks: Iterable[bytes], mode: int = 0o644, group: str = "") -> bool:
    """Tell whether a file of ours has exactly this content, these permissions and, if one is named, this group."""
    try:
        with open_path(path) as (directory, name), open_regular(name, os.O_NOFOLLOW, directory.descriptor) as file:
            status = os.fstat(file.fileno())
            check_made_by_us(path, status, directory.descriptor)
            if stat.S_IMODE(status.st_mode) != mode or group_id(group) not in (-1, status.st_gid):
                return False
            return all(file.read(len(chunk)) == chunk for chunk in chunks) and not file.read(1)
    except (OSError, OutputError):
        return False


def remove_leftovers(path: Path) -> None:
    """Remove leftovers of processes that were killed while they replaced a file. Call only with the right to write it.

    Raises:
        OutputError: its directory cannot be written.
    """
    try:
        with open_staging(path) as staging:
            _remove_leftovers(staging)
    except OSError as error:
        raise _unwritable(path, error) from error


def _check_claim(path: Path) -> None:
    try:
        opened = open_path(path)
    except FileNotFoundError:
        return check_can_make(path.parent)
    with opened as (directory, name):
        check_writable(directory)
        if fault := fault_of_replacement(directory, name):
            raise OSError(errno.EPERM, fault)
        try:
            directory.check_private_directory(STAGING)
        except FileNotFoundError:
            return None
        with directory.directory(STAGING) as folder:
            check_writable(folder)
            if fault := fault_of_lock_file(folder, lock_name(name)):
                raise OSError(errno.EINVAL, fault)
    return None


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(f"cannot write into the directory {str(path.parent)!r}: {_reason(error)}")


def _remove_leftovers(staging: Staging) -> None:
    """Remove the leftovers of killed processes for this file only."""
    for name in staging.folder.names():
        if is_temporary_name(name, staging.name):
            with contextlib.suppress(OSError):
                staging.folder.unlink(name)


def _write(name: str, folder: OpenDirectory, chunks: Iterable[bytes], mode: int, group: int) -> os.stat_result:
    descriptor = folder.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        for chunk in chunks:
            rest = memoryview(chunk)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        # Set the group first: changing it clears the set-ID bits.
        give(descriptor, group)
        os.fchmod(descriptor, mode)
        flush(descriptor)
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


def _move(temporary: str, staging: Staging) -> None:
    """Put the written file in its place."""
    folder, directory = staging.folder.descriptor, staging.directory.descriptor
    try:
        os.replace(temporary, staging.name, src_dir_fd=folder, dst_dir_fd=directory)
    except PermissionError as error:
        if fault := fault_of_replacement(staging.directory, staging.name):
            raise PermissionError(error.errno, fault) from error
        raise


def _reason(error: OSError) -> str:
    if error.errno == errno.EBUSY:
        return "it is a mount of its own, which cannot be replaced; mount its directory instead"
    return exhausted_resource(error) or error.strerror or str(error)
