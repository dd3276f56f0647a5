"""Manage the state directory: one file for each control plane; other files are never touched."""

import contextlib
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from kuma_sd.core.errors import KumaSDError
from kuma_sd.core.logger import Logger
from kuma_sd.system.directories import make_directories
from kuma_sd.system.file_lock import FileLock, LockedError
from kuma_sd.system.staging import STAGING
from kuma_sd.system.trusted_paths import UntrustedError, check_made_by_us, follow_links

_log = Logger(__name__)

LOCK = "kuma-sd.lock"

STOPPED = "kuma-sd.stopped"
"""Name of the file that exists while no process runs and the last one saved everything."""

BAD_FILES = 3
"""Number of unreadable files that are kept for each control plane."""

_REMOVED_AGES_SECONDS = 86400.0
"""How long the file of a control plane that was removed from the settings is kept, in seconds."""

# The groups: the name of the control plane's file, and when it was set aside as unreadable or removed.
_OURS = re.compile(
    r"(?P<name>(?:[a-z][a-z0-9_-]*|unnamed\.[0-9a-f]{16})(?:\.[0-9]+)?)\.snapshot"
    r"(?:\.(?P<state>bad|removed)-(?P<when>[0-9]+))?"
)


class SavedFile(NamedTuple):
    """A file in the directory.

    Args:
        name: the name under which it was written.
        path: its present path.
        removed: its control plane was removed from the settings.
    """

    name: str
    path: Path
    removed: bool


def make_state_directory(path: Path) -> None:
    """Make the state directory if it is missing.

    Raises:
        UntrustedError: another user can have made a link that leads to it.
        OSError: it cannot be made.
    """
    make_directories(follow_links(path), 0o750)


class StateDirectory:
    """A state directory, used by one process at a time.

    Args:
        path: its path; created if missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = FileLock(path / LOCK)

    def claim(self) -> bool:
        """Lock the directory; again, if it was replaced meanwhile.

        Returns:
            Whether it was locked just now, so that its content is not known.

        Raises:
            KumaSDError: it cannot be created or written, or another process uses it.
        """
        try:
            make_state_directory(self._path)
            is_new = self._lock.acquire()
        except LockedError as error:
            raise KumaSDError(
                f"another kuma-sd uses the state directory {str(self._path)!r}; give one of them another"
            ) from error
        except OSError as error:
            raise KumaSDError(f"cannot write into the state directory {str(self._path)!r}: {error.strerror}") from error
        if is_new:
            self._warn_of_owner()
        return is_new

    def release(self) -> None:
        """Unlock the directory."""
        self._lock.release()

    def file(self, name: str) -> Path:
        """Return the path of a control plane's file."""
        return self._path / f"{name}.snapshot"

    def set_aside(self, file: SavedFile) -> Path | None:
        """Rename an unreadable file, to keep it for inspection; the oldest such files are removed.

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
        """Remove temporary files of a process that was killed; call this before writing."""
        staging = self._path / STAGING
        temporary = [] if staging.is_symlink() else staging.glob("*.snapshot.*.tmp")
        _remove(path for path in temporary if _OURS.fullmatch(path.name.rsplit(".", 2)[0]))

    def saved(self) -> list[SavedFile]:
        """List the files that may be read back, and delete those that were removed long ago."""
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
        """Rename a control plane's file, to be deleted a day later."""
        path = self.file(name)
        with contextlib.suppress(OSError):
            path.rename(path.with_name(f"{path.name}.removed-{int(time.time())}"))

    def has(self, names: Iterable[str]) -> bool:
        """Tell whether all these files exist."""
        try:
            return all(self.file(name).exists() for name in names)
        except OSError:
            return False

    def take_stopped(self) -> bool:
        """Tell whether the last process saved everything at its end, and clear that mark."""
        mark = self._path / STOPPED
        try:
            check_made_by_us(mark, mark.lstat())
            mark.unlink()
        except OSError:
            return False
        return True

    def mark_stopped(self) -> None:
        """Mark that this process saved everything, at its end."""
        with contextlib.suppress(OSError):
            (self._path / STOPPED).touch(mode=0o600)

    def _warn_of_owner(self) -> None:
        """Warn of a directory of another user: his files in it are not believed, but he can remove ours."""
        try:
            check_made_by_us(self._path, self._path.stat())
        except UntrustedError as error:
            _log.warning("another user can remove what is saved; give the directory to kuma-sd", reason=error.strerror)
        except OSError:
            # It was removed just now, which is noticed elsewhere.
            return


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        # A file that cannot be removed does no harm: files of this name are not read.
        with contextlib.suppress(OSError):
            path.unlink()
