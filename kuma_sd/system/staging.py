"""The staging folder beside a file, in which its next version is written; accessed through its descriptor.

It is on the same file system as the file, so that renaming is atomic. It is a separate folder, because Prometheus reads
every file of a job again whenever anything in the watched directory changes. Other users may be able to write the
directory, like /tmp; so the folder must belong to this user, and no link in it is followed.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from kuma_sd.system.directories import make_directories
from kuma_sd.system.trusted_paths import keep_private

STAGING = ".kuma-sd"


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
        UntrustedError: other users can write the folder.
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
        raise NotADirectoryError(errno.ENOTDIR, f"{str(directory / STAGING)!r} is no directory of ours; remove it")
    folder = os.open(STAGING, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=outer)
    try:
        keep_private(directory / STAGING, folder, os.fstat(outer))
    except BaseException:
        os.close(folder)
        raise
    return folder
