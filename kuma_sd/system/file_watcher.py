"""Watch files: report when a file's content changes, by whatever means.

inotify reports changes immediately, but not all of them: it watches directories, not names behind symbolic links; a
deleted directory is no longer watched; its queue may overflow; the number of watches is limited (inotify(7)). So an
event only triggers a check, and files are also checked periodically.
"""

import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kuma_sd.core.logger import Logger
from kuma_sd.core.option_types import show_duration
from kuma_sd.core.regular_file import read_regular
from kuma_sd.core.resource_limits import exhausted_resource
from kuma_sd.system.directories import real_path

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver, ObservedWatch

_log = Logger(__name__)

SMALL = 2**16
"""Files up to this size, in bytes, are compared by content; larger ones by size, inode and times."""

MOST_CALMS = 10
"""Maximum wait for a quiet period, as a multiple of its length: a busy directory is never quiet."""

_CHANGES = ("Created", "Modified", "Moved", "Deleted")

SETTLED_NANOSECONDS = 100_000_000
"""Minimum age of a change, for the time of a file to tell it from the next: file systems count in ticks."""

SETTLED_WHOLE_SECONDS = 2_000_000_000
"""The same for file systems whose times have a resolution of one or two seconds."""

_SECOND = 1_000_000_000


class _Watched(NamedTuple):
    """A directory to watch, alone or with everything below it."""

    directory: Path
    recursive: bool


class _Look(NamedTuple):
    """The observed state of a file: values that change with its content, and how they were determined."""

    signature: object
    status: tuple[int, ...] = ()
    settled: bool = False


class FileWatcher:
    """Watches files in its own thread.

    Symbolic links are followed at each check, so that Kubernetes can swap a ConfigMap behind them. A file counts as
    changed if it appears, vanishes, or its content or permissions change; touching it or replacing it by an equal file
    does not count.

    Args:
        paths: the files; they and their directories need not exist.
        on_change: called with the changed files, in the watcher's thread.
        interval: maximum time between two checks, in seconds.
        calm: the quiet period after which a change counts as finished, in seconds.
        under: directories that are watched recursively; each uses one inotify instance, like each directory that is
            watched alone. The default limit is 128 instances per user.
    """

    def __init__(
        self,
        paths: Iterable[Path],
        on_change: Callable[[frozenset[Path]], None],
        interval: float = 30.0,
        calm: float = 0.3,
        under: Iterable[Path] = (),
    ) -> None:
        self._on_change = on_change
        self._interval = interval
        self._calm = calm
        self._stirred = threading.Event()
        self._closing = threading.Event()
        self._under = frozenset(under)
        self._paths: frozenset[Path] = frozenset()
        self._seen: dict[Path, _Look] = {}
        self._noting = threading.Lock()
        self.follow(paths)

    def follow(self, paths: Iterable[Path]) -> bool:
        """Replace the set of watched files; no change of a file in both sets is missed.

        Returns:
            Whether some files were not watched before.
        """
        before = self._paths
        self._paths = frozenset(paths)
        for path in self._paths:
            if path not in self._seen:
                self._seen[path] = _look_at(path)
        for path in self._seen.keys() - self._paths:
            self._seen.pop(path, None)
        self._stirred.set()
        return not self._paths <= before

    def saw(self, path: Path, written: os.stat_result) -> None:
        """Ignore a change made by the caller; later changes by others are reported.

        Args:
            path: the file.
            written: the file's status after the caller wrote it.
        """
        look = _look_at(path)
        # If another process changed the file already, forget its state, so that the next check reports a change.
        mine = _identity_at(path) == _identity(written)
        with self._noting:
            self._seen[path] = look if mine else _Look(object())
        if not mine:
            self._stirred.set()

    def run(self) -> None:
        """Watch until closed."""
        directories = _Directories(self._stirred.set, self._interval)
        watched: frozenset[Path] | None = None
        due = time.monotonic()
        try:
            while not self._closing.is_set():
                paths = self._paths
                # While nobody touched a file, its directory is where it was; to find it takes several calls for each.
                if paths is not watched or self._misses_files() or time.monotonic() >= due:
                    # In this order: an event reports changes after the check.
                    directories.watch(_directories_of(paths, self._under))
                    watched, due = paths, time.monotonic() + self._interval
                if self._look():
                    watched = None
                    self._stirred.set()
                if self._stirred.wait(self._interval):
                    self._wait_for_calm()
        finally:
            directories.close()

    def close(self) -> None:
        """End `run`, from any thread."""
        self._closing.set()
        self._stirred.set()

    def _misses_files(self) -> bool:
        return not all(look and look.status for look in map(self._seen.get, self._paths))

    def _look(self) -> bool:
        """Report changed files; return whether somebody else touched one at all, as when its directory was replaced."""
        changed = set()
        touched = False
        for path in self._paths:
            before = self._seen.get(path)
            now = _look_at(path, before)
            touched |= before is None or before.status != now.status
            if before and before.signature != now.signature:
                changed.add(path)
            with self._noting:
                # The caller recorded a newer state in the meantime.
                if self._seen.get(path) is before:
                    self._seen[path] = now
        if changed and not self._closing.is_set():
            self._on_change(frozenset(changed))
        return touched

    def _wait_for_calm(self) -> None:
        # Replacing a file causes about eight events; writing in place causes the first before the file is complete.
        deadline = time.monotonic() + MOST_CALMS * self._calm
        while time.monotonic() < deadline:
            self._stirred.clear()
            if self._closing.is_set() or not self._stirred.wait(self._calm):
                return


class _Directories:
    """Watches directories with inotify, through watchdog.

    Args:
        wake: called at each event.
        interval: the time between two checks, for the log line if inotify is not available.
    """

    def __init__(self, wake: Callable[[], None], interval: float) -> None:
        self._wake = wake
        self._interval = interval
        self._observer: BaseObserver | None = None
        self._watches: dict[_Watched, tuple[ObservedWatch, os.stat_result]] = {}
        self._problem = ""

    def watch(self, wanted: set[_Watched]) -> None:
        """Watch exactly these directories; renew the watches of directories that were deleted or replaced."""
        try:
            for watched in [each for each in self._watches if each not in wanted or not self._is_live(each)]:
                self._unwatch(watched)
            for watched in wanted - self._watches.keys():
                self._watches[watched] = self._schedule(watched), watched.directory.stat()
        except FileNotFoundError:
            # It has just vanished; the next check finds what exists then.
            self._say("")
        except OSError as error:
            self._say(error.strerror or str(error))
        except RuntimeError as error:
            # watchdog needs threads.
            exhausted = exhausted_resource(error)
            if not exhausted:
                raise
            self._say(exhausted)
        else:
            self._say("")

    def close(self) -> None:
        """End all watches."""
        if self._observer:
            self._observer.stop()
            self._observer.join()

    def _schedule(self, watched: _Watched) -> "ObservedWatch":
        # Imported late: most commands watch no files.
        from watchdog import events, observers  # noqa: PLC0415

        if self._observer is None or not self._observer.is_alive():
            # It logs an error when a watch ends while its thread reads (seen with 7.1); is_alive() tells what matters.
            logging.getLogger("watchdog").setLevel(logging.CRITICAL)
            observer = observers.Observer()
            observer.start()
            self._observer = observer
        wake = self._wake

        class Handler(events.FileSystemEventHandler):
            def on_any_event(self, event: events.FileSystemEvent) -> None:  # noqa: ARG002 (any of them)
                # Must not raise: an error would silently end watchdog's thread.
                wake()

        # Ignore read events: the watcher's own checks cause them.
        changes = [getattr(events, f"{what}{how}Event") for what in ("File", "Dir") for how in _CHANGES]
        return self._observer.schedule(
            Handler(),
            str(watched.directory),
            recursive=watched.recursive,
            event_filter=[*changes, events.FileClosedEvent],
        )

    def _is_live(self, watched: _Watched) -> bool:
        assert self._observer is not None
        watch, then = self._watches[watched]
        try:
            same = os.path.samestat(watched.directory.stat(), then)
        except OSError:
            return False
        # The thread ends when its directory is deleted; a new directory may get the same inode.
        return (
            same
            and self._observer.is_alive()
            and any(emitter.watch == watch and emitter.is_alive() for emitter in self._observer.emitters)
        )

    def _unwatch(self, watched: _Watched) -> None:
        assert self._observer is not None
        watch, _ = self._watches.pop(watched)
        self._observer.unschedule(watch)

    def _say(self, problem: str) -> None:
        if problem and not self._problem:
            _log.warning(
                "inotify watches are not available, changes of files are noticed late",
                seen_within=show_duration(self._interval),
                reason=problem,
            )
        self._problem = problem


def _directories_of(paths: Iterable[Path], under: Iterable[Path]) -> set[_Watched]:
    """Return the directories in which changes of these files show: that of each name, and that of its link's target."""
    roots = {root for root in (Path(real_path(directory)) for directory in under) if _is_directory(root)}
    directories = {
        _nearest(Path(real_path(directory)))
        for path in paths
        for directory in (path.parent, Path(real_path(path)).parent)
    }
    return {_watched(directory, roots) for directory in directories}


def _watched(directory: Path, roots: Collection[Path]) -> _Watched:
    root = next((parent for parent in (directory, *directory.parents) if parent in roots), None)
    return _Watched(root, recursive=True) if root else _Watched(directory, recursive=False)


def _nearest(directory: Path) -> Path:
    """Return a directory if it exists, else its nearest existing parent."""
    return next((each for each in (directory, *directory.parents) if _is_directory(each)), directory)


def _is_directory(path: Path) -> bool:
    # Path.is_dir() raises if a parent directory may not be entered.
    return os.path.isdir(path)  # noqa: PTH112 (see above)


def _identity(status: os.stat_result) -> tuple[int, ...]:
    """Return values that change when a file is written or replaced, but not when it is renamed."""
    return status.st_dev, status.st_ino, status.st_mode, status.st_gid, status.st_size, status.st_mtime_ns


def _status(found: os.stat_result) -> tuple[int, ...]:
    """Return values that change at any change: nobody can set back the time of the last change of a file's status."""
    return *_identity(found), found.st_ctime_ns


def _identity_at(path: Path) -> tuple[int, ...] | None:
    try:
        return _identity(path.stat())
    except OSError:
        return None


def _look_at(path: Path, before: _Look | None = None) -> _Look:
    """Check a file; it is not read again if its status is unchanged."""
    try:
        found = path.stat()
    except OSError:
        return _Look(None)
    status = _status(found)
    if before and before.settled and before.status == status:
        return before
    tick = SETTLED_NANOSECONDS if found.st_ctime_ns % _SECOND else SETTLED_WHOLE_SECONDS
    settled = time.time_ns() - found.st_ctime_ns > tick
    return _Look(_signature(path, found), status, settled)


def _signature(path: Path, status: os.stat_result) -> object:
    """Return a value that changes with content or permissions; None if the file cannot be read."""
    try:
        if not stat.S_ISREG(status.st_mode):
            # Reading a pipe would consume its data.
            return stat.S_IFMT(status.st_mode)
        if status.st_size > SMALL:
            return _status(status)
        # Imported late: it loads OpenSSL, which checking settings does not need.
        import hashlib  # noqa: PLC0415

        return status.st_mode, status.st_gid, hashlib.blake2b(read_regular(path)).digest()
    except OSError:
        return None
