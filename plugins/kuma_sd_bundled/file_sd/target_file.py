"""One file of target groups."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from kuma_sd import file_holds, replace_file
from kuma_sd_bundled.file_sd.formats import chunks_of
from kuma_sd_bundled.file_sd.options import FileSDOptions


class TargetFile:
    """Written whole or not at all, and only when its content changes. Several threads may use it.

    Args:
        path: where it is.
        options: how to write it.
        renew: makes sure that no other process writes it; raises OutputError if one does.

    Raises:
        ConfigError: the format cannot be told from the path.
    """

    def __init__(self, path: Path, options: FileSDOptions, renew: Callable[[], None]) -> None:
        self.path = path
        self._options = options
        self._chunks = chunks_of(path, options.format)
        self._renew = renew
        self._lines: Sequence[bytes] | None = None
        self._writing = threading.Lock()

    def make(self) -> None:
        """Make it, and its directory, empty if it is missing.

        Raises:
            OutputError: it cannot be written.
        """
        with self._writing:
            if not self.path.exists():
                self._write(())

    def content(self) -> bytes:
        """Return what is in it; nothing if it is not there.

        Raises:
            OSError: it cannot be read.
        """
        # Opening a pipe would wait for its writer.
        return self.path.read_bytes() if self.path.is_file() else b""

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
        return file_holds(self.path, self._chunks(lines), self._options.mode)

    def _write(self, lines: Sequence[bytes]) -> None:
        self._renew()
        replace_file(self.path, self._chunks(lines), self._options.mode, self._options.group)
