"""Opening files that users name, without ever waiting: what is there may be a pipe that nobody writes into."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading, if it is a regular one.

    Raises:
        OSError: that does not work, or it is something else.
    """
    # Asked before it is opened, since opening a pipe would be noticed by its writer.
    _check(path.stat())
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        _check(os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return open(descriptor, "rb")  # noqa: PTH123 (a descriptor, no path)


def read_regular(path: Path, limit: int | None = None) -> bytes:
    """Read a whole file, if it is a regular one.

    Args:
        path: the file.
        limit: how many bytes it may have.

    Raises:
        OSError: that does not work, or it is something else, or larger.
    """
    with open_regular(path) as file:
        content = file.read(-1 if limit is None else limit + 1)
    if limit is not None and len(content) > limit:
        raise OSError(errno.EFBIG, f"Larger than {limit} bytes")
    return content


def _check(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "Not a regular file")
