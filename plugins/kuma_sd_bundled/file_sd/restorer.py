"""Restores files that somebody else changed or deleted."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from kuma_sd import FileWatcher, HelperThread, OutputError
from kuma_sd_bundled.file_sd.target_file import TargetFile

_log = logging.getLogger(__name__)

FIRST_PAUSE = 1.0
"""How long to wait before a file is restored a second time, in seconds; doubled each time, until there was a calm."""

LONGEST_PAUSE = 300.0


class Restorer:
    """Sees that files are as we left them; the more often somebody else changes one, the later.

    Args:
        watched: the files.
    """

    def __init__(self, watched: Iterable[TargetFile]) -> None:
        self._files = {file.path: file for file in watched}
        self._restorations = {path: _Restoration(file, self.saw) for path, file in self._files.items()}
        self._changed: queue.SimpleQueue[frozenset[Path]] = queue.SimpleQueue()
        self._watcher = FileWatcher(self._restorations, self._changed.put)
        self._closing = threading.Event()

    def saw(self, path: Path) -> None:
        """Take a file for seen as we wrote it."""
        if written := self._files[path].written:
            self._watcher.saw(path, written)

    def start(self, name: str) -> None:
        """Watch and restore in threads of this name, until closed."""
        HelperThread(name, self._run, self._closing).start()
        # Apart from the other thread, in which one file may have to wait while another is changed.
        HelperThread(f"watch for {name}", self._watcher.run, self._closing).start()

    def close(self) -> None:
        """End run(), from any thread."""
        self._closing.set()
        self._watcher.close()
        self._changed.put(frozenset())

    def _run(self) -> None:
        due: dict[Path, float] = {}
        while not self._closing.is_set():
            for path in self._wait_until(min(due.values(), default=None)):
                due.setdefault(path, time.monotonic() + self._restorations[path].pause())
            for path in [path for path, when in due.items() if when <= time.monotonic()]:
                del due[path]
                if not self._restorations[path].attempt():
                    due[path] = time.monotonic() + self._restorations[path].pause()

    def _wait_until(self, when: float | None) -> frozenset[Path]:
        try:
            return self._changed.get(timeout=None if when is None else max(0.0, when - time.monotonic()))
        except queue.Empty:
            return frozenset()


class _Restoration:
    def __init__(self, file: TargetFile, saw: Callable[[Path], None]) -> None:
        self._file = file
        self._saw = saw
        self._pause = 0.0
        self._restored = float("-inf")
        self._failing = False

    def pause(self) -> float:
        """Return how long it has to wait, in seconds."""
        if time.monotonic() - self._restored > LONGEST_PAUSE and not self._failing:
            self._pause = 0.0
        return self._pause

    def attempt(self) -> bool:
        """Restore the file if that is needed; tells whether it is right then."""
        try:
            restored = self._file.restore()
        except OutputError as error:
            if not self._failing:
                _log.warning("%s; somebody else changed or deleted it, it will be restored", error)
            self._failing, self._pause = True, _longer(self._pause)
            return False
        self._failing = False
        if restored:
            self._saw(self._file.path)
            self._say_restored()
        return True

    def _say_restored(self) -> None:
        often = f", again; next time only after {_longer(self._pause):g} s" if self._pause else ""
        _log.warning("%r was changed or deleted by somebody else%s: restored", str(self._file.path), often)
        self._restored, self._pause = time.monotonic(), _longer(self._pause)


def _longer(pause: float) -> float:
    return min(LONGEST_PAUSE, pause * 2 or FIRST_PAUSE)
