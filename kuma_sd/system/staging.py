"""The folder beside a file in which its next version is written; all in it is reached by a descriptor of it.

It is on the same file system as the file, so that renaming is one step. It is a folder of its own, because Prometheus
reads every file of a job again whenever anything in the directory it watches changes. The directory may be one that
others may write, like /tmp: so the folder must be ours, and no link in it is followed.
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
    """Make a directory and its staging folder if they are missing, and open both until the block ends.

    Args:
        directory: where the file is. A staging folder, in which a file of ours may be too, is its own.

    Raises:
        OutputError: the folder is not ours alone.
        OSError: it does not work.
    """
    within = directory.name == STAGING
    around = directory.parent if within else directory
    make_directories(around)
    with contextlib.ExitStack() as stack:
        # O_PATH does without the right to read it, which entering and renaming do not need either.
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
        _check_private(directory / STAGING, folder, os.fstat(outer))
    except BaseException:
        os.close(folder)
        raise
    return folder


def _check_private(path: Path, folder: int, around: os.stat_result) -> None:
    """Refuse a folder whose owner, or those who may write it, may not replace the file anyway."""
    owner = os.fstat(folder).st_uid
    if owner not in (0, os.geteuid(), around.st_uid):
        raise OutputError(
            f"{str(path)!r} belongs to another user (uid {owner}), who could decide what is published; "
            "remove it, or write into a directory of your own"
        )
    if owner == os.geteuid() and stat.S_IMODE(os.fstat(folder).st_mode) & _OTHERS_MAY_WRITE:
        os.fchmod(folder, 0o700)
    # A file system without permissions of its own shows the same ones for all that is on it.
    given = 0 if around.st_mode & stat.S_ISVTX else around.st_mode
    if os.fstat(folder).st_mode & _OTHERS_MAY_WRITE & ~given:
        raise OutputError(f"others may write {str(path)!r}, and could decide what is published; remove it")
