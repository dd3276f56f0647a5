"""The directory in which state is kept: one file for each control plane, and nothing else is ever touched."""

import contextlib
import logging
import os
import re
import stat
import time
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple

from kuma_sd.core.errors import KumaSDError
from kuma_sd.system.file_lock import FileLock, LockedError
from kuma_sd.system.staging import STAGING

_log = logging.getLogger(__name__)

LOCK = "kuma-sd.lock"

STOPPED = "kuma-sd.stopped"
"""A file that is there while no process runs, and the last one saved everything."""

BAD_FILES = 3
"""How many files that could not be read are kept for each control plane."""

_REMOVED_AGES_SECONDS = 86400.0
"""How long what was saved of a control plane that is not in the settings any more is kept."""

# Whose it is; and when it was set aside if it could not be read, or removed.
_OURS = re.compile(
    r"(?P<name>(?:[a-z][a-z0-9_-]*|unnamed\.[0-9a-f]{16})(?:\.[0-9]+)?)\.snapshot"
    r"(?:\.(?P<state>bad|removed)-(?P<when>[0-9]+))?"
)


class SavedFile(NamedTuple):
    """A file in the directory.

    Args:
        name: the name that it was written under.
        path: where it is.
        removed: its control plane was removed from the settings.
    """

    name: str
    path: Path
    removed: bool


class StateDirectory:
    """A directory that only one process uses at a time.

    Args:
        path: where it is; made if missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = FileLock(path / LOCK)

    def claim(self) -> bool:
        """Take the directory; anew, if it was replaced since.

        Returns:
            Whether it had to be taken, so that nothing is known of what is in it.

        Raises:
            KumaSDError: it cannot be made or written, or another process has it.
        """
        try:
            self._path.mkdir(mode=0o750, parents=True, exist_ok=True)
            return self._lock.acquire()
        except LockedError as error:
            raise KumaSDError(
                f"another kuma-sd uses the state directory {str(self._path)!r}; give one of them another"
            ) from error
        except OSError as error:
            raise KumaSDError(f"cannot write into the state directory {str(self._path)!r}: {error.strerror}") from error

    def release(self) -> None:
        """Let others have it."""
        self._lock.release()

    def file(self, name: str) -> Path:
        """Return the path of a control plane's file."""
        return self._path / f"{name}.snapshot"

    def set_aside(self, file: SavedFile) -> Path | None:
        """Rename a file, so that somebody can look at it; the oldest such files are removed.

        Returns:
            Its new path; None if it could not be renamed.
        """
        path = self.file(file.name)
        aside = path.with_name(f"{path.name}.bad-{int(time.time())}")
        try:
            file.path.rename(aside)
        except OSError:
            return None
        _remove(sorted(self._path.glob(f"{path.name}.bad-*"))[:-BAD_FILES])
        return aside

    def remove_leftovers(self) -> None:
        """Remove what a process that was killed left behind; before anything is written."""
        temporary = (self._path / STAGING).glob("*.snapshot.*.tmp")
        _remove(path for path in temporary if _OURS.fullmatch(path.name.rsplit(".", 2)[0]))

    def saved(self) -> list[SavedFile]:
        """List the files that may be read back; those that were removed long ago are deleted."""
        found = []
        with contextlib.suppress(OSError):
            for path in sorted(self._path.iterdir()):
                name = _OURS.fullmatch(path.name)
                if name and name["state"] == "removed" and time.time() - int(name["when"]) >= _REMOVED_AGES_SECONDS:
                    _remove([path])
                elif name and name["state"] != "bad":
                    found.append(SavedFile(name["name"], path, removed=name["state"] == "removed"))
        return found

    def remove(self, name: str) -> None:
        """Keep a control plane's file under another name; it is deleted a day later."""
        path = self.file(name)
        with contextlib.suppress(OSError):
            path.rename(path.with_name(f"{path.name}.removed-{int(time.time())}"))

    def has(self, names: Iterable[str]) -> bool:
        """Tell whether all these files are there."""
        try:
            return all(self.file(name).exists() for name in names)
        except OSError:
            return False

    def take_stopped(self) -> bool:
        """Tell whether the last process that used it saved everything at its end; from now on it did not."""
        try:
            (self._path / STOPPED).unlink()
        except OSError:
            return False
        return True

    def mark_stopped(self) -> None:
        """Say that everything is saved, at the end of the process."""
        with contextlib.suppress(OSError):
            (self._path / STOPPED).touch(mode=0o600)


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading, if it is one.

    Raises:
        OSError: that does not work; FileNotFoundError if there is none.
        ValueError: it is something else; the reason follows its name in a sentence.
    """
    # Not blocking, since it may be anything: opening a pipe would wait for its writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError("is no regular file")
    return open(descriptor, "rb")  # noqa: PTH123 (a descriptor, no path)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        # What cannot be removed does no harm: its name says that it is not read.
        with contextlib.suppress(OSError):
            path.unlink()
