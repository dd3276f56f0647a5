"""Open directories once, and reach everything in them by their descriptors.

What is at a path may be another thing a moment later: whoever may rename a directory above it can put a link in its
place. So a path is walked one name after another, each is opened and then judged, and what follows happens in the
directory that was opened, whatever its path leads to by then.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Self

from kuma_sd.core.close_on_error import close_on_error
from kuma_sd.core.logger import Logger
from kuma_sd.system.trust_rules import check_can_be_private, check_link, check_private, keep_private

_log = Logger(__name__)

MOST_LINKS = 40
"""Maximum number of symbolic links, as in the kernel (path_resolution(7))."""

# Never waits for the writer of a pipe.
_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY

# Errors of file systems without fsync(2) for directories, and of unreadable directories.
_NOT_OFFERED = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)
_NOT_READABLE = (errno.EACCES, errno.EPERM)

_unflushed: set[str] = set()
"""Directories whose flush failure was logged already."""

Judge = Callable[["OpenDirectory", str, os.stat_result], None]
"""Raises an OSError to stop a walk; gets a directory, a name in it, and the status of what was opened there."""


class OpenDirectory:
    """An open directory. No link in it is followed.

    Args:
        descriptor: a descriptor of it, which is closed with it.
        path: where it was found, for messages.
    """

    def __init__(self, descriptor: int, path: Path) -> None:
        self.descriptor = descriptor
        self.path = path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it."""
        os.close(self.descriptor)

    def status(self) -> os.stat_result:
        """Return its own status."""
        return os.fstat(self.descriptor)

    def status_of(self, name: str) -> os.stat_result:
        """Return the status of what is in it, like lstat(2)."""
        return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)

    def names(self) -> list[str]:
        """Return the names of what is in it, sorted."""
        with self.directory(".", os.O_RDONLY) as readable:
            return sorted(os.listdir(readable.descriptor))  # noqa: PTH208 (of a descriptor)

    def open(self, name: str, flags: int, mode: int = 0o600) -> int:
        """Open what is in it, without blocking, and return a descriptor."""
        return os.open(name, flags | _FLAGS, mode, dir_fd=self.descriptor)

    def directory(self, name: str, flags: int = os.O_PATH, make: int | None = None) -> "OpenDirectory":
        """Open a directory in it.

        Args:
            name: its name.
            flags: the flags of open(2).
            make: the permissions with which it is made if it is missing; None to make nothing.
        """
        try:
            descriptor = self.open(name, flags | os.O_DIRECTORY)
        except FileNotFoundError:
            if make is None:
                raise
            self.make_directory(name, make)
            descriptor = self.open(name, flags | os.O_DIRECTORY)
        return OpenDirectory(descriptor, self.path / name)

    def private_directory(self, name: str) -> "OpenDirectory":
        """Open a directory in it that nobody else may enter; it is made if it is missing.

        Raises:
            UntrustedError: another user could decide what is in it.
            OSError: it cannot be made or opened.
        """
        folder = self._private_directory(name, make=0o700)
        with close_on_error(folder):
            keep_private(folder.path, folder.descriptor, self.status())
        return folder

    def check_private_directory(self, name: str) -> None:
        """Reject a directory that `private_directory()` would reject. Nothing is made or changed.

        Raises:
            UntrustedError: another user could decide what is in it.
            OSError: it cannot be opened; FileNotFoundError if it is missing.
        """
        with self._private_directory(name) as folder:
            check_private(folder.path, folder.descriptor, self.status())

    def _private_directory(self, name: str, make: int | None = None) -> "OpenDirectory":
        try:
            return self.directory(name, os.O_RDONLY, make)
        except (NotADirectoryError, PermissionError):
            # Nothing is there if it may not be made.
            with contextlib.suppress(FileNotFoundError):
                check_can_be_private(self.path / name, self.status_of(name))
            raise

    def make_directory(self, name: str, mode: int) -> None:
        """Make a directory in it, with these permissions whatever the umask, unless something is there."""
        try:
            os.mkdir(name, mode, dir_fd=self.descriptor)
        except FileExistsError:
            return
        with self.directory(name, os.O_RDONLY) as made:
            # What another user may have put in its place is not opened to others.
            if not os.listdir(made.descriptor):  # noqa: PTH208 (of a descriptor)
                # Keep the inherited set-group-ID bit.
                os.fchmod(made.descriptor, stat.S_IMODE(made.status().st_mode) | mode)
        self.sync()

    def handle(self, name: str) -> int:
        """Open whatever is in it, to look at it or to go on from there, and return a descriptor."""
        try:
            # The kernel mounts on demand (autofs) for those only who ask for a directory.
            return self.open(name, os.O_PATH | os.O_DIRECTORY)
        except NotADirectoryError:
            return self.open(name, os.O_PATH)

    def address_of(self, name: str) -> str:
        """Return the address of a unix socket in it, whatever its path leads to by now."""
        return f"/proc/self/fd/{self.descriptor}/{name}"

    def may(self, name: str, access: int) -> bool:
        """Tell whether this process may use what is in it, or itself as ``.`` (access(2), of the effective user)."""
        return os.access(name, access, dir_fd=self.descriptor, effective_ids=True)

    def unlink(self, name: str) -> None:
        """Remove what is no directory from it."""
        os.unlink(name, dir_fd=self.descriptor)

    def sync(self) -> None:
        """Flush it to disk. Failures are logged, not raised, because the change itself succeeded."""
        try:
            with self.directory(".", os.O_RDONLY) as readable:
                flush(readable.descriptor)
        except OSError as error:
            if error.errno not in _NOT_READABLE and str(self.path) not in _unflushed:
                _unflushed.add(str(self.path))
                _log.warning(
                    "a directory cannot be flushed to disk; a crash of the machine may undo its last change",
                    path=self.path,
                    reason=error.strerror,
                )
        else:
            _unflushed.discard(str(self.path))


class OpenPath(NamedTuple):
    """Where a path leads.

    Args:
        directory: the open directory at its end.
        name: what is named in that directory, or would be: there may be nothing.
    """

    directory: OpenDirectory
    name: str

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.directory.close()

    @property
    def path(self) -> Path:
        """The path without links, for messages."""
        return self.directory.path / self.name


def open_path(path: Path, *, make: bool = False, judge: Judge | None = None) -> OpenPath:
    """Find out where a path leads; links are followed if no other user can have made them.

    Args:
        path: the path.
        make: make directories that are missing, so that readers can enter them.
        judge: judges everything on the way, in addition.

    Raises:
        UntrustedError: another user can have made a link.
        OSError: a directory is missing or cannot be entered.
    """
    walk = _Walk(path.absolute(), judge, make=make)
    try:
        return walk.run()
    except BaseException:
        walk.here.close()
        raise


def open_directory(path: Path, mode: int | None = None) -> OpenDirectory:
    """Open a directory; links are followed as in `open_path()`.

    Args:
        path: the directory.
        mode: the permissions with which it is made if it is missing; None to make nothing.
    """
    with open_path(path, make=mode is not None) as (parent, name):
        return parent.directory(name, make=mode)


def real_path(path: Path) -> str:
    """Return where a path leads, whoever made the links; the path itself if that changes at this very moment."""
    try:
        return os.path.realpath(path)
    except OSError:
        return str(path.absolute())


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


class _Walk:
    """One walk along a path, which begins at the root."""

    def __init__(self, path: Path, judge: Judge | None, *, make: bool) -> None:
        self.here = _root()
        self._rest = _names(path)
        self._judge = judge
        self._make = make
        self._links = 0

    def run(self) -> OpenPath:
        while self._rest:
            name = self._rest.pop()
            if self._is_end(name):
                return OpenPath(self.here, name)
        return OpenPath(self.here, ".")

    def _is_end(self, name: str) -> bool:
        """Tell whether the path ends at this name; otherwise go on behind it."""
        try:
            found = self._found(name)
        except FileNotFoundError:
            if self._rest:
                raise
            return True
        try:
            status = os.fstat(found)
            if self._judge:
                self._judge(self.here, name, status)
            if stat.S_ISLNK(status.st_mode):
                self._follow(name, found, status)
                return False
            if not self._rest:
                return True
            left = self.here
            self.here = OpenDirectory(found, left.path.parent if name == ".." else left.path / name)
            found = left.descriptor
            return False
        finally:
            os.close(found)

    def _found(self, name: str) -> int:
        try:
            return self.here.handle(name)
        except FileNotFoundError:
            if not (self._make and self._rest):
                raise
        self.here.make_directory(name, 0o755)
        return self.here.handle(name)

    def _follow(self, name: str, link: int, status: os.stat_result) -> None:
        target = Path(os.readlink("", dir_fd=link))
        check_link(self.here.path / name, target, status, self.here.status())
        self._links += 1
        if self._links > MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        self._rest += _names(target)
        if target.is_absolute():
            self.here.close()
            self.here = _root()


def _root() -> OpenDirectory:
    return OpenDirectory(os.open("/", os.O_PATH | os.O_DIRECTORY), Path("/"))


def _names(path: Path) -> list[str]:
    """Return the names in a path, the first one last."""
    return [name for name in reversed(path.parts) if name != path.anchor]
