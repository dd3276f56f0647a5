"""Directories of our own: made so that readers can enter them, and flushed so that a rename survives a crash."""

import errno
import os
import stat
from pathlib import Path

from kuma_sd.core.logger import Logger

_log = Logger(__name__)

# What file systems answer that cannot flush (fsync(2)), and what a directory answers that may not be read.
_NOT_OFFERED = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)
_NOT_READABLE = (errno.EACCES, errno.EPERM)

_unflushed: set[str] = set()
"""The directories of which it was logged that they cannot be flushed."""


def make_directories(path: Path, mode: int = 0o755) -> None:
    """Make a directory and those above it, whatever the umask: a file is of no use where its readers cannot go.

    Raises:
        OSError: it does not work; NotADirectoryError if something else is there.
    """
    if path.is_dir():
        return
    make_directories(path.parent, mode)
    try:
        path.mkdir(mode)
    except FileExistsError as error:
        if not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from error
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        # The set-group-ID bit, which is inherited, stays.
        os.fchmod(descriptor, stat.S_IMODE(os.fstat(descriptor).st_mode) | mode)
    finally:
        os.close(descriptor)
    sync_directory(path.parent)


def sync_directory(path: Path, directory: int | None = None) -> None:
    """Flush a directory to disk. Where that fails, what was done in it is done all the same, so nothing is raised.

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
                "a directory cannot be flushed to disk; a crash of the machine may undo the last change in it",
                path=path,
                reason=error.strerror,
            )
    else:
        _unflushed.discard(str(path))


def flush(descriptor: int) -> None:
    """Flush a file or directory to disk, where the file system can.

    Raises:
        OSError: the disk fails, or is full.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_OFFERED:
            raise
