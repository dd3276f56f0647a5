"""Write one file of target groups."""

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from kuma_sd import (
    ConfigError,
    OutputError,
    check_output_path,
    file_holds,
    open_trusted,
    remove_leftovers,
    replace_file,
)
from kuma_sd_bundled.file_sd.formats import chunks_of
from kuma_sd_bundled.file_sd.options import FileSDOptions


class TargetFile:
    """A file that is written atomically, and only when its content changes. Several threads may use it.

    Args:
        path: the path of the file.
        options: how to write it.
        renew: makes sure that no other process writes it; raises OutputError if one does.

    Raises:
        ConfigError: the path does not show the format, or no file can be replaced there.
    """

    def __init__(self, path: Path, options: FileSDOptions, renew: Callable[[], None]) -> None:
        try:
            check_output_path(path)
        except OutputError as error:
            raise ConfigError(str(error), option="path") from error
        self.path = path
        self._options = options
        self._chunks = chunks_of(path, options.format)
        self._renew = renew
        self._lines: Sequence[bytes] | None = None
        self.written: os.stat_result | None = None
        """The file's status after the last write; None before the first."""
        self._writing = threading.Lock()

    def make(self) -> None:
        """Create the file, empty, and its directory if missing; remove temporary files of a process that was killed.

        Raises:
            OutputError: it cannot be written.
        """
        with self._writing:
            if self.path.exists():
                remove_leftovers(self.path)
            else:
                self._write(())

    def content(self) -> bytes:
        """Return the content of the file.

        Raises:
            OSError: it cannot be read, or another user can have written it.
        """
        with open_trusted(self.path) as file:
            return file.read()

    def release(self) -> None:
        """Release the file, which stays as it is."""
        with self._writing:
            self._lines = None

    def publish(self, lines: Sequence[bytes]) -> bool:
        """Update the file; returns whether it had to be written.

        Raises:
            OutputError: it cannot be written; it stays as it was.
        """
        with self._writing:
            if lines == self._lines:
                return False
            # Before the first publication, the file may already hold these lines, written by another process.
            if self._lines is not None or not self._holds(lines):
                self._write(lines)
            self._lines = lines
            return True

    def restore(self) -> bool:
        """Write the file again if another program changed it; returns whether it had.

        Raises:
            OutputError: it cannot be written.
        """
        with self._writing:
            if self._lines is None or self._holds(self._lines):
                return False
            self._write(self._lines)
            return True

    def _holds(self, lines: Sequence[bytes]) -> bool:
        return file_holds(self.path, self._chunks(lines), self._options.mode, self._options.group)

    def _write(self, lines: Sequence[bytes]) -> None:
        self._renew()
        self.written = replace_file(self.path, self._chunks(lines), self._options.mode, self._options.group)
