"""One file of target groups."""

import os
import threading
from collections.abc import Sequence
from pathlib import Path

from kuma_sd import ConfigError, FileClaim, OutputError, check_output_path, file_holds, replace_file
from kuma_sd_bundled.file_sd.formats import chunks_of
from kuma_sd_bundled.file_sd.options import FileSDOptions


class TargetFile:
    """Written whole or not at all, and only when its content changes. Several threads may use it.

    Args:
        path: where it is.
        options: how to write it.

    Raises:
        ConfigError: the format cannot be told from the path, or no file can be replaced there.
    """

    def __init__(self, path: Path, options: FileSDOptions) -> None:
        try:
            check_output_path(path)
        except OutputError as error:
            raise ConfigError(str(error)) from error
        self.path = path
        self._options = options
        self._chunks = chunks_of(path, options.format)
        self._claim: FileClaim | None = None
        self._lines: Sequence[bytes] | None = None
        self.written: os.stat_result | None = None
        """Its status when it was written last; None if it never was."""
        self._writing = threading.Lock()

    def claim(self) -> None:
        """Make its directory, and let no other process write it.

        Raises:
            OutputError: that cannot be had.
        """
        self._claim = FileClaim(self.path)

    def release(self) -> None:
        """Leave it to others, as it is."""
        with self._writing:
            self._lines = None
            if self._claim:
                self._claim.release()
                self._claim = None

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
        if self._claim:
            self._claim.renew()
        self.written = replace_file(self.path, self._chunks(lines), self._options.mode, self._options.group)
