"""Appending changes to a saved snapshot, so that one change among many does not write all of it again."""

import contextlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from kuma_sd.core.list_diff import difference
from kuma_sd.core.model import LastGoodTargets
from kuma_sd.state import snapshot_file

LARGEST_SHARE = 4
"""The changes are at most this part of the snapshot that they are appended to; then all of it is written again."""

SMALLEST_LIMIT = 2**16
"""However small the snapshot is, so many bytes of changes are appended."""


class AppendedFile:
    """A saved snapshot that was written by this process, and what was appended to it.

    Args:
        path: where it is.
        written: its status as it was written.
        checksum: that of everything in it.
        last_good: what it holds.
    """

    def __init__(self, path: Path, written: os.stat_result, checksum: int, last_good: LastGoodTargets) -> None:
        self._path = path
        self._identity = written.st_dev, written.st_ino
        self._size = written.st_size
        self._limit = self._size + max(SMALLEST_LIMIT, self._size // LARGEST_SHARE)
        self._checksum = checksum
        # What it holds once the changes are appended that wait for it.
        self._last_good = last_good
        self._waiting: list[bytes] = []

    def note(self, last_good: LastGoodTargets) -> bool:
        """Take note of what it shall hold; tells whether that can be appended.

        A change is encoded at once, so that what it replaced is not kept until it is written.
        """
        before, self._last_good = self._last_good, last_good
        if _origin(before) != _origin(last_good):
            return False
        gone, new = difference(before.assignments, last_good.assignments)
        if len(gone) + len(new) > len(before.assignments) // LARGEST_SHARE + snapshot_file.ASSIGNMENTS_IN_A_FRAME:
            return False
        if gone or new:
            self._waiting.append(snapshot_file.change(gone, new, last_good.received))
        return self._size + sum(map(len, self._waiting)) <= self._limit

    def append(self) -> bool:
        """Append what waits for it; tells whether there was anything, and the file was as this process left it."""
        if not self._waiting:
            return False
        with contextlib.suppress(OSError):
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                return self._is_ours(os.fstat(descriptor)) and self._append(descriptor)
            finally:
                os.close(descriptor)
        return False

    def _append(self, descriptor: int) -> bool:
        checksum, content = snapshot_file.frames(self._waiting, self._checksum)
        # Counted before, so that what is left of a failure is not taken for ours.
        self._size += len(content)
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
        self._checksum = checksum
        self._waiting.clear()
        return True

    def _is_ours(self, status: os.stat_result) -> bool:
        return (
            stat.S_ISREG(status.st_mode)
            and (status.st_dev, status.st_ino) == self._identity
            and status.st_size == self._size
        )


def _origin(last_good: LastGoodTargets) -> Iterable[object]:
    return last_good.name, last_good.endpoints, last_good.configured
