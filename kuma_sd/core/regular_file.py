"""Open files that users name without blocking: the path may lead to a pipe without a writer."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from kuma_sd.core.text import size

LARGEST = 2**24
"""Maximum size of a file that is read whole, in bytes: a file that people write is far smaller."""


def open_regular(path: Path | str, flags: int = 0, directory: int | None = None) -> BinaryIO:
    """Open a regular file for reading.

    Args:
        path: the file.
        flags: further flags of open(2), like ``os.O_NOFOLLOW``.
        directory: a descriptor of the directory in which a relative path begins; None for the working directory.

    Raises:
        OSError: it cannot be opened, or is not a regular file.
    """
    # Checked before it is opened, since opening a pipe would unblock its writer.
    _check(os.stat(path, dir_fd=directory))
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | flags, dir_fd=directory)
    try:
        _check(os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return open(descriptor, "rb")  # noqa: PTH123 (a descriptor, no path)


def read_regular(path: Path, limit: int = LARGEST) -> bytes:
    """Read a whole regular file.

    Args:
        path: the file.
        limit: maximum size, in bytes.

    Raises:
        OSError: it cannot be read, is not a regular file, or is too large.
    """
    with open_regular(path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"Larger than {size(limit)}")
    return content


def _check(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "Not a regular file")
