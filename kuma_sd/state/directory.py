"""The directory in which state is kept: one file for each control plane, and nothing else is ever touched."""

import contextlib
import fcntl
import logging
import os
import re
import stat
import time
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from kuma_sd.core.errors import KumaSDError
from kuma_sd.state.snapshot_file import MAGIC
from kuma_sd.system.staging import STAGING

_log = logging.getLogger(__name__)

LOCK = "kuma-sd.lock"

BAD_FILES = 3
"""How many files that could not be read are kept for each control plane."""

# Whose it is, and when it was set aside if it could not be read.
_OURS = re.compile(r"(?P<identity>[a-z][a-z0-9_-]*|unnamed\.[0-9a-f]{16})\.snapshot(?P<bad>\.bad-[0-9]+)?")


class StateDirectory:
    """A directory that only one process uses at a time.

    Args:
        path: where it is; made if missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: BinaryIO | None = None

    def claim(self) -> None:
        """Take the directory; anew, if it was replaced since.

        Raises:
            KumaSDError: it cannot be made or written, or another process has it.
        """
        try:
            if not self._claimed():
                self._path.mkdir(mode=0o750, parents=True, exist_ok=True)
                lock = (self._path / LOCK).open("ab", buffering=0)
                self.release()
                self._lock = lock
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.release()
            raise KumaSDError(
                f"another kuma-sd uses the state directory {str(self._path)!r}; give one of them another"
            ) from error
        except OSError as error:
            self.release()
            raise KumaSDError(f"cannot write into the state directory {str(self._path)!r}: {error.strerror}") from error

    def release(self) -> None:
        """Let others have it."""
        if self._lock:
            self._lock.close()
            self._lock = None

    def file(self, identity: str) -> Path:
        """Return the path of a control plane's file."""
        return self._path / f"{identity}.snapshot"

    def open(self, identity: str) -> BinaryIO:
        """Open a control plane's file for reading.

        Raises:
            OSError: that does not work; FileNotFoundError if there is none.
            ValueError: it is no file.
        """
        return open_regular(self.file(identity))

    def set_aside(self, identity: str) -> Path | None:
        """Rename a control plane's file, so that somebody can look at it; the oldest such files are removed.

        Returns:
            Its new path; None if it could not be renamed.
        """
        path = self.file(identity)
        aside = path.with_name(f"{path.name}.bad-{int(time.time())}")
        try:
            path.rename(aside)
        except OSError:
            return None
        _remove(sorted(self._path.glob(f"{path.name}.bad-*"))[:-BAD_FILES])
        return aside

    def remove_leftovers(self) -> None:
        """Remove what a process that was killed left behind; before anything is written."""
        temporary = (self._path / STAGING).glob("*.snapshot.*.tmp")
        _remove(path for path in temporary if _OURS.fullmatch(path.name.rsplit(".", 2)[0]))

    def keep_only(self, identities: set[str]) -> None:
        """Remove the files of all other control planes."""
        with contextlib.suppress(OSError):
            for path in self._path.iterdir():
                name = _OURS.fullmatch(path.name)
                if name and name["identity"] not in identities and (name["bad"] or _is_snapshot(path)):
                    _remove([path])
                    _log.info("removed %r: its control plane is not in the settings any more", str(path))

    def _claimed(self) -> bool:
        try:
            present = (self._path / LOCK).stat()
        except FileNotFoundError:
            return False
        return self._lock is not None and os.path.samestat(os.fstat(self._lock.fileno()), present)


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


def _is_snapshot(path: Path) -> bool:
    try:
        with open_regular(path) as file:
            return file.read(len(MAGIC)) == MAGIC
    except (OSError, ValueError):
        return False


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        # What cannot be removed does no harm: its name says that it is not read.
        with contextlib.suppress(OSError):
            path.unlink()
