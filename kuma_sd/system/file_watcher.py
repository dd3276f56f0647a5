"""Watching files: says when the content of one changed, however that was done, and never goes blind.

The kernel tells of changes at once, but not of all: it knows directories, not names that lead through symbolic links;
it forgets a directory that is deleted; its queue overflows without a sign; and there are limits (inotify(7)). So an
event means no more than "look now", and files are looked at now and then in any case.
"""

import os
import stat
import threading
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kuma_sd.core.logger import Logger
from kuma_sd.core.options import show_duration
from kuma_sd.core.regular_file import read_regular

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver, ObservedWatch

_log = Logger(__name__)

SMALL = 2**20
"""Up to which size, in bytes, a file is read to compare it; of larger ones size, place and time are compared."""

MOST_CALMS = 10
"""How many times as long as a calm it is waited for: in a directory that is written to all the time there is none."""

_CHANGES = ("Created", "Modified", "Moved", "Deleted")

SETTLED_NANOSECONDS = 100_000_000
"""How old a change must be before the time of a file tells it from the next one: file systems count in ticks."""

SETTLED_WHOLE_SECONDS = 2_000_000_000
"""The same where they count in seconds, some in two."""

_SECOND = 1_000_000_000


class _Watched(NamedTuple):
    """What the kernel is asked to tell about: a directory, or a directory and all below it."""

    directory: Path
    recursive: bool


class _Look(NamedTuple):
    """How a file was found: what differs when its content does, and how that was known."""

    signature: object
    status: tuple[int, ...] = ()
    settled: bool = False


class FileWatcher:
    """Watches files in a thread of its own.

    Names may be symbolic links, which are followed each time, so that Kubernetes may swap a ConfigMap behind them. A
    file that appears or vanishes changed, or one that others may read now; one that is touched, or replaced by an equal
    one, did not.

    Args:
        paths: the files; they and their directories need not exist.
        on_change: called with those that changed, in the watcher's thread.
        interval: the longest time between two looks, in seconds.
        calm: how long nothing must happen before a change counts as finished, in seconds.
        under: directories that are watched with all below them; each takes one inotify instance, as any directory does
            that is watched alone, and a user has 128.
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
        """Watch these files from now on; a change of one that was watched before is not missed.

        Returns:
            Whether there are some that were not watched before.
        """
        before, self._paths = self._paths, frozenset(paths)
        for path in self._paths:
            if path not in self._seen:
                self._seen[path] = _look_at(path)
        for path in self._seen.keys() - self._paths:
            self._seen.pop(path, None)
        self._stirred.set()
        return not self._paths <= before

    def saw(self, path: Path, written: os.stat_result) -> None:
        """Take a file for seen, because who asks wrote it; whatever somebody else does after that is a change.

        Args:
            path: the file.
            written: its status when it was written.
        """
        look = _look_at(path)
        # If somebody was faster than this look, it is like none, so that the next one sees a change.
        mine = _identity_at(path) == _identity(written)
        with self._noting:
            self._seen[path] = look if mine else _Look(object())
        if not mine:
            self._stirred.set()

    def run(self) -> None:
        """Watch until closed."""
        directories = _Directories(self._stirred.set, self._interval)
        try:
            while not self._closing.is_set():
                # In this order: what changes after the look is told by an event.
                directories.watch(_directories_of(self._paths, self._under))
                self._look()
                if self._stirred.wait(self._interval):
                    self._wait_for_calm()
        finally:
            directories.close()

    def close(self) -> None:
        """End run(), from any thread."""
        self._closing.set()
        self._stirred.set()

    def _look(self) -> None:
        changed = set()
        for path in self._paths:
            before = self._seen.get(path)
            now = _look_at(path, before)
            if before and before.signature != now.signature:
                changed.add(path)
            with self._noting:
                # Whoever wrote the file meanwhile knows better.
                if self._seen.get(path) is before:
                    self._seen[path] = now
        if changed and not self._closing.is_set():
            self._on_change(frozenset(changed))

    def _wait_for_calm(self) -> None:
        # One replaced file makes about eight events, and one written in place begins with one before it is whole.
        deadline = time.monotonic() + MOST_CALMS * self._calm
        while time.monotonic() < deadline:
            self._stirred.clear()
            if self._closing.is_set() or not self._stirred.wait(self._calm):
                return


class _Directories:
    """The directories that the kernel tells about, through watchdog.

    Args:
        wake: called at each event.
        interval: what is said to be the time between two looks if the kernel cannot be asked.
    """

    def __init__(self, wake: Callable[[], None], interval: float) -> None:
        self._wake = wake
        self._interval = interval
        self._observer: BaseObserver | None = None
        self._watches: dict[_Watched, tuple[ObservedWatch, os.stat_result]] = {}
        self._problem = ""

    def watch(self, wanted: set[_Watched]) -> None:
        """Watch exactly these, and those anew that went silent because they were deleted or replaced."""
        try:
            for watched in [each for each in self._watches if each not in wanted or not self._is_live(each)]:
                self._unwatch(watched)
            for watched in wanted - self._watches.keys():
                self._watches[watched] = self._schedule(watched), watched.directory.stat()
        except FileNotFoundError:
            # It vanished just now; the next look is at what is there then.
            self._say("")
        except OSError as error:
            self._say(error.strerror or str(error))
        else:
            self._say("")

    def close(self) -> None:
        """Watch nothing any more."""
        if self._observer:
            self._observer.stop()
            self._observer.join()

    def _schedule(self, watched: _Watched) -> "ObservedWatch":
        # Late, for most commands watch nothing.
        from watchdog import events, observers  # noqa: PLC0415

        if self._observer is None or not self._observer.is_alive():
            observer = observers.Observer()
            observer.start()
            self._observer = observer
        wake = self._wake

        class Handler(events.FileSystemEventHandler):
            def on_any_event(self, event: events.FileSystemEvent) -> None:  # noqa: ARG002 (any of them)
                # Nothing that can raise: that would end watchdog's thread, and nobody would notice.
                wake()

        # Not those of reading: our own looks would wake us.
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
        # After a directory is deleted its thread ends; a new directory may get the same inode.
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
                "changes of files are not seen at once, since the kernel watches no more directories",
                seen_within=show_duration(self._interval),
                reason=problem,
            )
        self._problem = problem


def _directories_of(paths: Iterable[Path], under: Iterable[Path]) -> set[_Watched]:
    """Return where a change of one of these shows: where it lies, and where the file lies that it leads to."""
    roots = {root for root in (Path(os.path.realpath(directory)) for directory in under) if _is_directory(root)}
    directories = {
        _nearest(Path(os.path.realpath(directory)))
        for path in paths
        for directory in (path.parent, Path(os.path.realpath(path)).parent)
    }
    return {_watched(directory, roots) for directory in directories}


def _watched(directory: Path, roots: Collection[Path]) -> _Watched:
    root = next((parent for parent in (directory, *directory.parents) if parent in roots), None)
    return _Watched(root, recursive=True) if root else _Watched(directory, recursive=False)


def _nearest(directory: Path) -> Path:
    """Return a directory if it exists, else the one in which the way to it will appear."""
    return next((each for each in (directory, *directory.parents) if _is_directory(each)), directory)


def _is_directory(path: Path) -> bool:
    # Not Path.is_dir(), which raises where a directory on the way may not be entered.
    return os.path.isdir(path)  # noqa: PTH112 (see above)


def _identity(status: os.stat_result) -> tuple[int, ...]:
    """Return what differs once somebody else wrote or replaced a file; renaming it changes nothing of it."""
    return status.st_dev, status.st_ino, status.st_mode, status.st_gid, status.st_size, status.st_mtime_ns


def _identity_at(path: Path) -> tuple[int, ...] | None:
    try:
        return _identity(path.stat())
    except OSError:
        return None


def _look_at(path: Path, before: _Look | None = None) -> _Look:
    """Look at a file; one whose status is as before is not read again."""
    try:
        found = path.stat()
    except OSError:
        return _Look(None)
    status = (*_identity(found), found.st_ctime_ns)
    if before and before.settled and before.status == status:
        return before
    tick = SETTLED_NANOSECONDS if found.st_ctime_ns % _SECOND else SETTLED_WHOLE_SECONDS
    settled = time.time_ns() - found.st_ctime_ns > tick
    return _Look(_signature(path, found), status, settled)


def _signature(path: Path, status: os.stat_result) -> object:
    """Return what differs when the content or the permissions do; None if the file cannot be read."""
    try:
        if not stat.S_ISREG(status.st_mode):
            # Reading from a pipe would take from its reader.
            return stat.S_IFMT(status.st_mode)
        if status.st_size > SMALL:
            return status.st_mode, status.st_gid, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
        # Late, since it loads OpenSSL, which whoever only checks settings needs nowhere else.
        import hashlib  # noqa: PLC0415

        return status.st_mode, status.st_gid, hashlib.blake2b(read_regular(path)).digest()
    except OSError:
        return None
