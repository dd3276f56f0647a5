"""Foresee whether a state directory can be used, for `kuma-sd check`. Nothing is made, locked or changed."""

import contextlib
import errno
import os
from pathlib import Path

from kuma_sd.core.errors import ConfigError
from kuma_sd.state.directory import LOCK
from kuma_sd.system.directories import OpenDirectory, open_directory
from kuma_sd.system.lock_file_fault import fault_of_lock_file
from kuma_sd.system.staging import STAGING
from kuma_sd.system.writability import check_can_make, check_writable


def check_state_directory(path: Path, *, as_daemon: bool) -> None:
    """Reject a directory that `StateDirectory.claim()` could not use, or into which it could save nothing.

    Args:
        path: the directory.
        as_daemon: whether this user is the daemon's; if not, it does not matter what this process may do.

    Raises:
        ConfigError: it is something else, cannot be made or written, or another user decides what is in it.
    """
    try:
        if as_daemon:
            _check_usable(path)
        else:
            _check_kind(path)
    except NotADirectoryError as error:
        raise ConfigError(f"state-dir {str(path)!r} is no directory", option="state-dir") from error
    except OSError as error:
        raise ConfigError(f"state-dir {str(path)!r} cannot be used: {error.strerror}", option="state-dir") from error


def _check_kind(path: Path) -> None:
    # It may be missing, and where this user may not look, the daemon's may.
    if os.path.exists(path) and not os.path.isdir(path):  # noqa: PTH110, PTH112 (is_dir() raises where this user may not look)
        raise NotADirectoryError


def _check_usable(path: Path) -> None:
    try:
        directory = open_directory(path)
    except FileNotFoundError:
        return check_can_make(path)
    with directory:
        return _check(directory)


def _check(directory: OpenDirectory) -> None:
    check_writable(directory)
    if fault := fault_of_lock_file(directory, LOCK):
        raise OSError(errno.EINVAL, fault)
    with contextlib.suppress(FileNotFoundError):
        directory.check_private_directory(STAGING)
