"""One file of target groups."""

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from kuma_sd import (
    ConfigError,
    OutputError,
    check_output_path,
    file_holds,
    read_regular,
    remove_leftovers,
    replace_file,
)
from kuma_sd_bundled.file_sd.formats import chunks_of
from kuma_sd_bundled.file_sd.options import FileSDOptions


class TargetFile:
    """Written whole or not at all, and only when its content changes. Several threads may use it.

    Args:
        path: where it is.
        options: how to write it.
        renew: makes sure that no other process writes it; raises OutputError if one does.

    Raises:
        ConfigError: the format cannot be told from the path, or no file can be replaced there.
    """

    def __init__(self, path: Path, options: FileSDOptions, renew: Callable[[], None]) -> None:
        try:
            check_output_path(path)
        except OutputError as error:
            raise ConfigError(str(error)) from error
        self.path = path
        self._options = options
        self._chunks = chunks_of(path, options.format)
        self._renew = renew
        self._lines: Sequence[bytes] | None = None
        self.written: os.stat_result | None = None
        """Its status when it was written last; None if it never was."""
        self._writing = threading.Lock()

    def make(self) -> None:
        """Make it, and its directory, empty if it is missing; remove what a process that was killed left of it.

        Raises:
            OutputError: it cannot be written.
        """
        with self._writing:
            if self.path.exists():
                remove_leftovers(self.path)
            else:
                self._write(())

    def content(self) -> bytes:
        """Return what is in it.

        Raises:
            OSError: it cannot be read.
        """
        return read_regular(self.path)

    def release(self) -> None:
        """Leave it to others, as it is."""
        with self._writing:
            self._lines = None

    def publish(self, lines: Sequence[bytes]) -> bool:
        """Bring it up to date; tells whether there was anything to do.

        Raises:
            OutputError: it cannot be written; it stays as it was.
        """
        with self._writing:
            if lines == self._lines:
                return False
            # Before the first publication it may hold just this already: another process wrote it.
            if self._lines is not None or not self._holds(lines):
                self._write(lines)
            self._lines = lines
            return True

    def restore(self) -> bool:
        """Write it again if it is not as we left it; tells whether it was not.

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
