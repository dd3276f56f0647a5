"""Append changes to a saved snapshot, so that a small change does not rewrite the whole file."""

import contextlib
import os
import stat

from kuma_sd.core.list_diff import difference
from kuma_sd.core.model import LastGoodTargets
from kuma_sd.state import snapshot_file
from kuma_sd.system.directories import OpenDirectory

LARGEST_SHARE = 4
"""Maximum size of appended changes, as 1/n of the snapshot; beyond it, the whole file is rewritten."""

SMALLEST_LIMIT = 2**16
"""Size of changes that may always be appended, in bytes, however small the snapshot is."""


class AppendedFile:
    """A saved snapshot that this process wrote, with appended changes.

    Args:
        name: its name in the state directory.
        written: the file's status after it was written.
        checksum: the checksum of its content.
        last_good: the targets that it holds.
    """

    def __init__(self, name: str, written: os.stat_result, checksum: int, last_good: LastGoodTargets) -> None:
        self._name = name
        self._identity = written.st_dev, written.st_ino
        self._size = written.st_size
        self._limit = self._size + max(SMALLEST_LIMIT, self._size // LARGEST_SHARE)
        self._checksum = checksum
        # The content of the file after the waiting changes are appended.
        self._last_good = last_good
        self._waiting: list[bytes] = []

    def note(self, last_good: LastGoodTargets) -> bool:
        """Record the new content; returns whether the changes can be appended.

        A change is encoded at once, so that the old assignments are not kept in memory until it is written.
        """
        before = self._last_good
        self._last_good = last_good
        if before.origin != last_good.origin:
            return False
        gone, new = difference(before.assignments, last_good.assignments)
        if len(gone) + len(new) > len(before.assignments) // LARGEST_SHARE + snapshot_file.ASSIGNMENTS_IN_A_FRAME:
            return False
        if gone or new or before.contact_until != last_good.contact_until:
            self._waiting.append(snapshot_file.change(gone, new, last_good.received, last_good.contact_until))
        return self._size + sum(map(len, self._waiting)) <= self._limit

    def append(self, directory: OpenDirectory) -> bool:
        """Append the waiting changes; returns False if there are none, or if another process changed the file."""
        if not self._waiting:
            return False
        with contextlib.suppress(OSError):
            descriptor = directory.open(self._name, os.O_WRONLY | os.O_APPEND)
            try:
                return self._is_ours(os.fstat(descriptor)) and self._append(descriptor)
            finally:
                os.close(descriptor)
        return False

    def _append(self, descriptor: int) -> bool:
        checksum, content = snapshot_file.frames(self._waiting, self._checksum)
        # Counted before writing, so that after a failure the partial write is not mistaken for a whole one.
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
