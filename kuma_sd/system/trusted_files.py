"""Open files that no other user can have written."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from kuma_sd.core.close_on_error import close_on_error
from kuma_sd.core.regular_file import open_regular
from kuma_sd.system.directories import OpenDirectory, open_path
from kuma_sd.system.trust_rules import check_content, check_owner, check_replaceable, check_writers, trusted_owners


def open_trusted(path: Path) -> BinaryIO:
    """Open a regular file that root or we have made, and that nobody else may write, except a group that we let.

    Raises:
        FileNotFoundError: there is no file.
        UntrustedError: another user can have written it, or the link that leads to it.
        OSError: it cannot be opened, or is not a regular file.
    """
    with open_path(path) as (directory, name):
        return open_trusted_in(directory, name)


def open_trusted_in(directory: OpenDirectory, name: str) -> BinaryIO:
    """Open a regular file in a directory, as `open_trusted()` does."""
    file = open_regular(name, os.O_NOFOLLOW, directory.descriptor)
    with close_on_error(file):
        check_content(directory.path / name, os.fstat(file.fileno()), directory.descriptor)
    return file


def open_code(path: Path) -> BinaryIO:
    """Open a regular file that nobody but root and us can write or replace, at any directory above it.

    Raises:
        UntrustedError: another user can write it, or a directory through which its path leads.
        OSError: it cannot be opened, or is not a regular file.
    """
    with open_path(path, judge=_judge_replaceable) as (directory, name):
        file = open_regular(name, os.O_NOFOLLOW, directory.descriptor)
        with close_on_error(file):
            check_owner(directory.path / name, os.fstat(file.fileno()))
            check_writers(directory.path / name, file.fileno())
        return file


def is_trusted(path: Path) -> bool:
    """Tell whether there is a regular file of root or of us. Nothing is written to find that out."""
    try:
        with open_path(path) as (directory, name):
            status = directory.status_of(name)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_uid in trusted_owners()


def _judge_replaceable(directory: OpenDirectory, _name: str, found: os.stat_result) -> None:
    check_replaceable(directory.path, directory.descriptor, found)
