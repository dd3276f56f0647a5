"""The staging folder beside a file, in which its next version is written; accessed through its descriptor.

It is on the same file system as the file, so that renaming is atomic. It is a separate folder, because Prometheus reads
every file of a job again whenever anything in the watched directory changes. Other users may be able to write the
directory, like /tmp; so the folder must belong to this user, and no link in it is followed.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from kuma_sd.system.directories import OpenDirectory, open_directory, open_path

STAGING = ".kuma-sd"

_LONGEST_NAME = 255
"""Maximum length of a name on most file systems, in bytes (NAME_MAX)."""


class Staging(NamedTuple):
    """Where a file is replaced.

    Args:
        directory: the directory that it is in.
        folder: the folder in which its next version is written.
        name: its name.
    """

    directory: OpenDirectory
    folder: OpenDirectory
    name: str


def temporary_name(name: str) -> str:
    """Return a new name for the next version of a file while it is written."""
    return f"{name}.{os.urandom(4).hex()}.tmp"


def is_temporary_name(temporary: str, name: str) -> bool:
    """Tell whether a name is one that `temporary_name()` made for a file."""
    return re.fullmatch(re.escape(name) + r"\.[0-9a-f]{8}\.tmp", temporary) is not None


def lock_name(name: str) -> str:
    """Return the name of a file's lock."""
    return f"{name}.lock"


def longest_name(directory: OpenDirectory | None = None) -> int:
    """Return the maximum length of a file's name, in bytes, so that its temporary name is not too long.

    Args:
        directory: the directory that it is in; None if it is not there yet.
    """
    limit = os.fstatvfs(directory.descriptor).f_namemax if directory else _LONGEST_NAME
    return limit - len(temporary_name(""))


@contextlib.contextmanager
def open_staging(path: Path) -> Iterator[Staging]:
    """Create the directory and the staging folder of a file if missing, and keep both open until the block ends.

    Args:
        path: the file, or a link to it. A file in a staging folder is staged right there.

    Raises:
        UntrustedError: other users can write the folder, or have made a link on the way.
        OSError: it cannot be created or opened.
    """
    if path.parent.name == STAGING:
        with open_directory(path.parent.parent, 0o755) as around, around.private_directory(STAGING) as folder:
            yield Staging(folder, folder, path.name)
    else:
        with open_path(path, make=True) as (directory, name), directory.private_directory(STAGING) as folder:
            yield Staging(directory, folder, name)
