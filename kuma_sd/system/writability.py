"""Find out whether something could be made or replaced. Nothing is made or changed."""

import errno
import os
import shlex
import stat
from pathlib import Path

from kuma_sd.system.directories import OpenDirectory, open_path


def check_writable(directory: OpenDirectory) -> None:
    """Reject a directory in which no file can be made.

    Raises:
        OSError: this process may not write it, or nobody may.
    """
    if not directory.may(".", os.W_OK | os.X_OK):
        is_read_only = os.fstatvfs(directory.descriptor).f_flag & os.ST_RDONLY
        number = errno.EROFS if is_read_only else errno.EACCES
        raise OSError(number, f"{os.strerror(number)}: {str(directory.path)!r}, for uid {os.geteuid()}")


def check_can_make(path: Path) -> None:
    """Reject a directory that is missing and cannot be made.

    Args:
        path: the directory.

    Raises:
        UntrustedError: another user can have made a link on the way.
        OSError: the directory above it may not be written.
    """
    try:
        opened = open_path(path)
    except FileNotFoundError:
        return check_can_make(path.parent)
    with opened as (parent, _):
        return check_writable(parent)


def fault_of_replacement(directory: OpenDirectory, name: str) -> str:
    """Return why a file may not be replaced, whose it is and what to run; empty if nothing shows why.

    Args:
        directory: the directory that it is in.
        name: its name.
    """
    try:
        status, around = directory.status_of(name), directory.status()
    except OSError:
        return ""
    # The rule for directories like /tmp (unlink(2), EPERM); root is exempt.
    if not around.st_mode & stat.S_ISVTX or os.geteuid() in (0, status.st_uid, around.st_uid):
        return ""
    path = str(directory.path / name)
    return (
        f"{path!r} belongs to another user (uid {status.st_uid}), and the sticky bit of its directory lets only him "
        f"replace it; remove it: rm {shlex.quote(path)}"
    )
