"""Set files of the state directory aside: unreadable ones, to look at them, and those of removed control planes."""

import contextlib
import os
import time
from collections.abc import Iterable

from kuma_sd.state.file_names import SavedFile, file_of, saved_file
from kuma_sd.system.directories import OpenDirectory

BAD_FILES = 3
"""Number of unreadable files that are kept for each control plane."""

_REMOVED_AGES_SECONDS = 86400.0
"""How long the file of a control plane that was removed from the settings is kept, in seconds."""


def set_aside_unreadable(directory: OpenDirectory, file: SavedFile) -> str:
    """Rename an unreadable file and return its new name; the oldest such files are deleted.

    Raises:
        OSError: it cannot be renamed.
    """
    aside = _rename(directory, file.file, file_of(file.name), "bad")
    _delete(directory, _set_aside(directory, file.name, "bad")[:-BAD_FILES])
    return aside


def set_aside_removed(directory: OpenDirectory, name: str) -> None:
    """Rename the file of a control plane that was removed from the settings; a day later it is deleted.

    Raises:
        OSError: it cannot be renamed.
    """
    _rename(directory, file_of(name), file_of(name), "removed")


def delete_removed(directory: OpenDirectory, name: str) -> None:
    """Delete what was removed under a name: it is outdated once another file has that name."""
    _delete(directory, _set_aside(directory, name, "removed"))


def without_old(directory: OpenDirectory, files: Iterable[SavedFile]) -> list[SavedFile]:
    """Return the files without those that were removed long ago, which are deleted."""
    kept = []
    for file in files:
        if file.state == "removed" and time.time() - file.when >= _REMOVED_AGES_SECONDS:
            _delete(directory, [file.file])
        else:
            kept.append(file)
    return kept


def _set_aside(directory: OpenDirectory, name: str, state: str) -> list[str]:
    """Return the files that were set aside under a name, the oldest first."""
    found = map(saved_file, directory.names())
    return [file.file for file in found if file and (file.name, file.state) == (name, state)]


def _rename(directory: OpenDirectory, file: str, name: str, state: str) -> str:
    aside = f"{name}.{state}-{int(time.time())}"
    os.rename(file, aside, src_dir_fd=directory.descriptor, dst_dir_fd=directory.descriptor)
    return aside


def _delete(directory: OpenDirectory, files: Iterable[str]) -> None:
    for file in files:
        # A file that cannot be removed does no harm.
        with contextlib.suppress(OSError):
            directory.unlink(file)
