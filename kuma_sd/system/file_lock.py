"""A lock between processes on a file or directory: flock(2) on a separate lock file."""

import errno
import fcntl
import os
import stat

from kuma_sd.core.logger import Logger
from kuma_sd.system.directories import OpenDirectory
from kuma_sd.system.lock_file_fault import fault_of_lock_file
from kuma_sd.system.trust_rules import trusted_owners

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
    """

    def __init__(self) -> None:
        self._descriptor: int | None = None
        self._warned = False

    def acquire(self, directory: OpenDirectory, name: str) -> bool:
        """Take the lock, or check that it is still held: the lock file may have been removed.

        Args:
            directory: the directory of the lock file.
            name: its name; it is created if missing, and never removed.

        Returns:
            Whether this call took the lock.

        Raises:
            LockedError: another process has the lock.
            OSError: the lock file cannot be created or opened.
        """
        if self._is_had(directory, name):
            return False
        self.release()
        descriptor = _open(directory, name)
        try:
            if os.fstat(descriptor).st_uid in trusted_owners(directory.status()):
                self._lock(descriptor, directory, name)
            else:
                self._warn(directory, name, "another user made the lock file, and could keep it locked for ever")
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

    def _is_had(self, directory: OpenDirectory, name: str) -> bool:
        if self._descriptor is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._descriptor), directory.status_of(name))
        except FileNotFoundError:
            return False

    def _lock(self, descriptor: int, directory: OpenDirectory, name: str) -> None:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, fault_of_lock_file(directory, name) or f"{name!r} is no regular file")
        if stat.S_IMODE(status.st_mode) != _MODE and status.st_uid == os.geteuid():
            os.fchmod(descriptor, _MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _HELD_BY_ANOTHER:
                raise LockedError from error
            if error.errno not in _NOT_OFFERED:
                raise
            self._warn(directory, name, f"the file system does not support locks ({error.strerror})")

    def _warn(self, directory: OpenDirectory, name: str, reason: str) -> None:
        if not self._warned:
            _log.warning(
                "going on without a lock; make sure that no other kuma-sd writes there",
                path=directory.path / name,
                reason=reason,
            )
        self._warned = True


def _open(directory: OpenDirectory, name: str) -> int:
    """Open a lock file, or what another user put in its place, if only to see whose that is."""
    try:
        descriptor = directory.open(name, os.O_RDWR | os.O_CREAT, _MODE)
        if os.fstat(descriptor).st_nlink <= 1:
            return descriptor
        # It has another name too: somebody made a link here to another file of ours (link(2)). Its permissions are not
        # for us to change, and whoever may open it could hold the lock.
        os.close(descriptor)
        directory.unlink(name)
        return directory.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, _MODE)
    except OSError as error:
        found = directory.handle(name)
        if os.fstat(found).st_uid not in trusted_owners(directory.status()):
            return found
        os.close(found)
        if fault := fault_of_lock_file(directory, name):
            raise OSError(error.errno, fault) from error
        raise
