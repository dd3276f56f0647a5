"""Create directories that readers can enter, and flush them so that a rename survives a crash."""

import errno
import os
import stat
from pathlib import Path

from kuma_sd.core.logger import Logger

_log = Logger(__name__)

# Errors of file systems without fsync(2) for directories, and of unreadable directories.
_NOT_OFFERED = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)
_NOT_READABLE = (errno.EACCES, errno.EPERM)

_unflushed: set[str] = set()
"""Directories whose flush failure was logged already."""


def make_directories(path: Path, mode: int = 0o755) -> None:
    """Create a directory and its parents with these permissions, whatever the umask.

    Args:
        path: the directory.
        mode: its permissions; those of its parents are 0755, so that readers can enter them.

    Raises:
        OSError: it cannot be created; NotADirectoryError if another kind of file exists there.
    """
    if path.is_dir():
        return
    make_directories(path.parent)
    try:
        path.mkdir(mode)
    except FileExistsError as error:
        if not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from error
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        # Keep the inherited set-group-ID bit.
        os.fchmod(descriptor, stat.S_IMODE(os.fstat(descriptor).st_mode) | mode)
    finally:
        os.close(descriptor)
    sync_directory(path.parent)


def sync_directory(path: Path, directory: int | None = None) -> None:
    """Flush a directory to disk. Failures are logged, not raised, because the change itself succeeded.

    Args:
        path: its path.
        directory: a descriptor of it; None to open it by its path.
    """
    try:
        descriptor = os.open("." if directory is not None else path, os.O_RDONLY | os.O_DIRECTORY, dir_fd=directory)
        try:
            flush(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NOT_READABLE and str(path) not in _unflushed:
            _unflushed.add(str(path))
            _log.warning(
                "a directory cannot be flushed to disk; a crash of the machine may undo its last change",
                path=path,
                reason=error.strerror,
            )
    else:
        _unflushed.discard(str(path))


def flush(descriptor: int) -> None:
    """Flush a file or directory to disk, if the file system supports it.

    Raises:
        OSError: the disk fails or is full.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_OFFERED:
            raise
