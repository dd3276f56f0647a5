"""Restore files that another program changed or deleted."""

import queue
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from kuma_sd import FileWatcher, HelperThread, Logger, OutputError
from kuma_sd_bundled.file_sd.target_file import TargetFile

_log = Logger(__name__)

FIRST_PAUSE = 1.0
"""Wait before a file is restored a second time, in seconds; doubled each time until no change came for a while."""

LONGEST_PAUSE = 300.0


class Restorer:
    """Watches files and restores those that another program changed; later, the more often one is changed.

    Args:
        under: directories that are watched recursively.
    """

    def __init__(self, under: Iterable[Path] = ()) -> None:
        self._restorations: dict[Path, _Restoration] = {}
        # Kept here, so that it outlives an attempt that fails unexpectedly and restarts the thread.
        self._due: dict[_Restoration, float] = {}
        self._changed: queue.SimpleQueue[frozenset[Path]] = queue.SimpleQueue()
        self._watcher = FileWatcher((), self._changed.put, under=under)
        self._closing = threading.Event()

    def saw(self, file: TargetFile) -> None:
        """Record that the present state of a file is our own."""
        if file.written:
            self._watcher.saw(file.path, file.written)

    def follow(self, watched: Iterable[TargetFile]) -> None:
        """Watch these files, and no others, from now on."""
        self._restorations = {file.path: _Restoration(file, self.saw) for file in watched}
        self._watcher.follow(self._restorations)

    def start(self, name: str) -> None:
        """Watch and restore in threads of this name, until closed."""
        HelperThread(name, self._run, self._closing).start()
        # Separate from the restoring thread, in which a file may have to wait while another one is changed.
        HelperThread(f"watch for {name}", self._watcher.run, self._closing).start()

    def close(self) -> None:
        """End both threads; called from any thread."""
        self._closing.set()
        self._watcher.close()
        self._changed.put(frozenset())

    def _run(self) -> None:
        while not self._closing.is_set():
            for path in self._wait_until(min(self._due.values(), default=None)):
                # A change may have been reported for a file that is no longer followed.
                if restoration := self._restorations.get(path):
                    self._due.setdefault(restoration, time.monotonic() + restoration.pause())
            for restoration in [each for each, when in self._due.items() if when <= time.monotonic()]:
                if restoration.attempt():
                    del self._due[restoration]
                else:
                    self._due[restoration] = time.monotonic() + restoration.pause()

    def _wait_until(self, when: float | None) -> frozenset[Path]:
        try:
            return self._changed.get(timeout=None if when is None else max(0.0, when - time.monotonic()))
        except queue.Empty:
            return frozenset()


class _Restoration:
    def __init__(self, file: TargetFile, saw: Callable[[TargetFile], None]) -> None:
        self._file = file
        self._saw = saw
        self._pause = 0.0
        self._restored = float("-inf")
        self._failing = False

    def pause(self) -> float:
        """Return how long the next restoration has to wait, in seconds."""
        if time.monotonic() - self._restored > LONGEST_PAUSE and not self._failing:
            self._pause = 0.0
        return self._pause

    def attempt(self) -> bool:
        """Restore the file if needed; returns whether it is correct afterwards."""
        try:
            restored = self._file.restore()
        except OutputError as error:
            if not self._failing:
                _log.warning(
                    "a file that another program changed or deleted cannot be restored; trying again", reason=error
                )
            self._failing = True
            self._pause = _longer(self._pause)
            return False
        self._failing = False
        if restored:
            self._saw(self._file)
            self._say_restored()
        return True

    def _say_restored(self) -> None:
        again = f"after {_longer(self._pause):g} s" if self._pause else None
        _log.warning(
            "another program changed or deleted a file; it was restored",
            path=self._file.path,
            restored_again_only=again,
        )
        self._restored = time.monotonic()
        self._pause = _longer(self._pause)


def _longer(pause: float) -> float:
    return min(LONGEST_PAUSE, pause * 2 or FIRST_PAUSE)
