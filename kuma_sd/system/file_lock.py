"""A lock between processes on a file or directory: flock(2) on a separate lock file."""

import errno
import fcntl
import os
import stat
from pathlib import Path

from kuma_sd.core.logger import Logger
from kuma_sd.system.trusted_paths import trusted_owners

_log = Logger(__name__)

_HELD_BY_ANOTHER = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)

# Errors of file systems without locks, such as NFS without lockd (flock(2)).
_NOT_OFFERED = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


_MODE = 0o600
"""Only the owner may open the lock file: any process that can open it could hold the lock for ever."""


class LockedError(Exception):
    """Another process has the lock."""


class FileLock:
    """A lock that one process holds at a time.

    On file systems without locks, and where another user made the lock file, it counts as held; this is logged.

    Args:
        path: the lock file; created if missing, and never removed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._warned = False

    def acquire(self, directory: int | None = None) -> bool:
        """Take the lock, or check that it is still held: the lock file may have been removed.

        Args:
            directory: a descriptor of the file's directory; None to use the path.

        Returns:
            Whether this call took the lock.

        Raises:
            LockedError: another process has the lock.
            OSError: the lock file cannot be created or opened.
        """
        name = str(self.path) if directory is None else self.path.name
        if self._is_had(name, directory):
            return False
        self.release()
        self._descriptor = _open_of_another_user(name, directory)
        if self._descriptor is not None:
            self._warn("another user made the lock file, and could keep it locked for ever")
            return True
        descriptor = _open(name, directory)
        try:
            self._lock(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Release the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _is_had(self, name: str, directory: int | None) -> bool:
        if self._descriptor is None:
            return False
        try:
            present = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(os.fstat(self._descriptor), present)

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _HELD_BY_ANOTHER:
                raise LockedError from error
            if error.errno not in _NOT_OFFERED:
                raise
            self._warn(f"the file system does not support locks ({error.strerror})")

    def _warn(self, reason: str) -> None:
        if not self._warned:
            _log.warning(
                "going on without a lock; make sure that no other kuma-sd writes there", path=self.path, reason=reason
            )
        self._warned = True


def _open_of_another_user(name: str, directory: int | None) -> int | None:
    """Return a descriptor of a lock file that another user made; None if there is no such file."""
    try:
        descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=directory)
    except FileNotFoundError:
        return None
    around = os.stat(Path(name).parent, dir_fd=directory)
    if os.fstat(descriptor).st_uid not in trusted_owners(around):
        return descriptor
    os.close(descriptor)
    return None


def _open(name: str, directory: int | None) -> int:
    # Non-blocking, in case the file is a pipe.
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(name, flags, _MODE, dir_fd=directory)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, f"{name!r} is no regular file")
    if stat.S_IMODE(status.st_mode) != _MODE and status.st_uid == os.geteuid():
        os.fchmod(descriptor, _MODE)
    return descriptor
