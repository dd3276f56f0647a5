"""The staging folder beside a file, in which its next version is written; accessed through its descriptor.

It is on the same file system as the file, so that renaming is atomic. It is a separate folder, because Prometheus reads
every file of a job again whenever anything in the watched directory changes. Other users may be able to write the
directory, like /tmp; so the folder must belong to this user, and no link in it is followed.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from kuma_sd.system.directories import OpenDirectory, open_directory, open_path

STAGING = ".kuma-sd"


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
