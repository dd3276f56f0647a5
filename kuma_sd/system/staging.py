"""The staging folder beside a file, in which its next version is written; accessed through its descriptor.

It is on the same file system as the file, so that renaming is atomic. It is a separate folder, because Prometheus reads
every file of a job again whenever anything in the watched directory changes. Other users may be able to write the
directory, like /tmp; so the folder must belong to this user, and no link in it is followed.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from kuma_sd.core.errors import OutputError
from kuma_sd.system.directories import make_directories

STAGING = ".kuma-sd"

_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


class Staging(NamedTuple):
    """Descriptors of the directory that a file is in, and of the folder in which its next version is written."""

    directory: int
    folder: int


@contextlib.contextmanager
def open_staging(directory: Path) -> Iterator[Staging]:
    """Create a directory and its staging folder if missing, and keep both open until the block ends.

    Args:
        directory: the file's directory. If it is a staging folder itself, it is used as its own staging folder.

    Raises:
        OutputError: other users can write the folder.
        OSError: it cannot be created or opened.
    """
    within = directory.name == STAGING
    around = directory.parent if within else directory
    make_directories(around)
    with contextlib.ExitStack() as stack:
        # O_PATH needs no read permission; entering and renaming do not need it either.
        outer = os.open(around, os.O_PATH | os.O_DIRECTORY)
        stack.callback(os.close, outer)
        inner = _open_folder(around, outer)
        stack.callback(os.close, inner)
        yield Staging(inner if within else outer, inner)


def _open_folder(directory: Path, outer: int) -> int:
    with contextlib.suppress(FileExistsError):
        os.mkdir(STAGING, 0o700, dir_fd=outer)
    status = os.stat(STAGING, dir_fd=outer, follow_symlinks=False)
    if not stat.S_ISDIR(status.st_mode):
        raise OutputError(f"{str(directory / STAGING)!r} is no directory of ours; remove it")
    folder = os.open(STAGING, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=outer)
    try:
        check_private(directory / STAGING, folder, os.fstat(outer))
    except BaseException:
        os.close(folder)
        raise
    return folder


def check_private(path: Path, folder: int, around: os.stat_result) -> None:
    """Reject a folder that users can write who cannot write the directory that it is in.

    Args:
        path: its path, for the message.
        folder: a descriptor of it.
        around: the status of the directory that it is in.

    Raises:
        OutputError: others can write it.
    """
    owner = os.fstat(folder).st_uid
    if owner not in (0, os.geteuid(), around.st_uid):
        raise OutputError(
            f"{str(path)!r} belongs to another user (uid {owner}), who could decide what is published; "
            "remove it, or write into a directory of your own"
        )
    if owner == os.geteuid() and stat.S_IMODE(os.fstat(folder).st_mode) & _OTHERS_MAY_WRITE:
        os.fchmod(folder, 0o700)
    # A file system without permissions shows the same ones for all files.
    given = 0 if around.st_mode & stat.S_ISVTX else around.st_mode
    if os.fstat(folder).st_mode & _OTHERS_MAY_WRITE & ~given:
        raise OutputError(f"others may write {str(path)!r}, and could decide what is published; remove it")
