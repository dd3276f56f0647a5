"""A disk that is full or read-only, and a directory that is not what it was."""

import contextlib
import random
import resource
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from allowance import allowed
from daemon_process import kuma_sd
from findings import Outcome
from processes import Process
from reader import ALWAYS, published, reading
from waiting import eventually
from watching import watched, watched_at_the_end, watched_if_long

from kuma_sd.simulator import Dataplane, SimulatedControlPlane, World
from kuma_sd.testing import control_plane

NAMES = [f"backend-{number:03}" for number in range(100)]


@dataclass
class Scene:
    """A daemon that publishes into a directory, and what happens to that.

    Args:
        outcome: takes note.
        kuma: the control plane.
        path: the file.
        daemon: the daemon.
    """

    outcome: Outcome
    kuma: SimulatedControlPlane[World]
    path: Path
    daemon: Process
    version: int = 0

    def change(self) -> None:
        """Change a target, so that there is something to publish."""
        self.version += 1
        self.kuma.world.alter(NAMES[0], service=f"v{self.version}")

    def is_right(self) -> bool:
        """Whether the file is what the control plane has."""
        with contextlib.suppress(ValueError):
            return published(self.path) == {
                dataplane.key: dataplane.service for dataplane in self.kuma.world.dataplanes
            }
        return False

    def through(self, fault: contextlib.AbstractContextManager[object], said: str, lines: int = 1) -> None:
        """Change something while the fault lasts, and see that all is right after it.

        Args:
            fault: lasts as long as it is entered.
            said: what a log line about it holds.
            lines: how many there may be.
        """
        began, before = time.monotonic(), len(self.daemon.lines)
        with fault:
            self.change()
            self.daemon.wait_for_line(said)
            threading.Event().wait(1.0)
            self.outcome.expect(not self.is_right(), "the fault did not disturb anything")
        ended = time.monotonic()
        eventually(self.is_right, "the file is right again")
        took, limit = time.monotonic() - ended, allowed(ended - began)
        self.outcome.tried += 1
        self.outcome.recovered(took)
        self.outcome.expect(took <= limit, f"it took {took:.1f} s, more than the back-off allows: {limit:.1f} s")
        self.daemon.wait_for_line("published again")
        complaints = [line for line in self.daemon.lines[before:] if said in line]
        self.outcome.expect(len(complaints) <= lines, f"{len(complaints)} log lines: {complaints}")


@contextlib.contextmanager
def _scene(outcome: Outcome, path: Path) -> Iterator[Scene]:
    with (
        control_plane(*map(Dataplane, NAMES)) as kuma,
        kuma_sd("run", f"--cp-address={kuma.url}", f"--output-file={path}") as daemon,
    ):
        daemon.wait_for_line("published")
        yield Scene(outcome, kuma, path, daemon)
        daemon.stop()


def full(folder: Path, _rng: random.Random, *, short: bool) -> Outcome:
    """Fill the disk."""
    outcome = Outcome("the disk is full")
    path = folder / "published" / "targets.json"
    with contextlib.ExitStack() as stack:
        mounted = stack.enter_context(_mounted(path.parent, "-t", "tmpfs", "-o", "size=256k", "tmpfs"))
        watch = stack.enter_context(watched(outcome, path, NAMES))
        reader = stack.enter_context(reading(path))
        scene = stack.enter_context(_scene(outcome, path))
        watch.wait()
        reader.require({("default", name): ALWAYS for name in NAMES})
        for _ in range(1 if short else 5):
            if mounted:
                scene.through(_filled(path.parent), "No space left on device")
            else:
                scene.through(_limited(scene.daemon.pid), "File too large")
    if not mounted:
        outcome.remarks.append("nothing can be mounted here: a limit on the size of files took its place")
    _note(outcome, reader.unreadable, reader.absent, len(reader.lost))
    return outcome


def read_only(folder: Path, _rng: random.Random, *, short: bool) -> Outcome:
    """Make the directory read-only."""
    outcome = Outcome("the directory is read-only")
    path = folder / "published" / "targets.json"
    with _scene(outcome, path) as scene, watched_if_long(outcome, path, NAMES, short=short), reading(path) as reader:
        reader.require({("default", name): ALWAYS for name in NAMES})
        for _ in range(1 if short else 5):
            directory = str(path.parent)
            with _mounted(path.parent, "--bind", directory) as mounted:
                pass
            if not mounted:
                outcome.remarks.append("not tried: nothing can be mounted here")
                return outcome
            scene.through(_bound_read_only(path.parent), "Read-only file system")
    _note(outcome, reader.unreadable, reader.absent, len(reader.lost))
    return outcome


def removed(folder: Path, _rng: random.Random, *, short: bool) -> Outcome:
    """Remove the directory with all that is in it; it need not be made again by hand."""
    outcome = Outcome("the directory is removed")
    path = folder / "published" / "targets.json"
    with watched_at_the_end(outcome, path, NAMES, short=short):
        for _ in range(2 if short else 5):
            with _scene(outcome, path) as scene:
                shutil.rmtree(path.parent)
                scene.change()
                began = time.monotonic()
                eventually(scene.is_right, "the file is there again")
                outcome.tried += 1
                outcome.recovered(time.monotonic() - began)
    return outcome


def in_the_way(folder: Path, _rng: random.Random, *, short: bool) -> Outcome:
    """Put a directory in the place of the file."""
    outcome = Outcome("a directory is in the file's place")
    path = folder / "published" / "targets.json"
    with watched_at_the_end(outcome, path, NAMES, short=short), _scene(outcome, path) as scene:
        for _ in range(1 if short else 5):
            # Restoring and publishing both say that they cannot.
            scene.through(_replaced(path), "Is a directory", lines=2)
    return outcome


def _note(outcome: Outcome, unreadable: int, absent: int, lost: int) -> None:
    outcome.lost += lost
    outcome.expect(not unreadable, f"{unreadable} reads were of a file that was not whole")
    outcome.expect(not absent, f"{absent} times the file was not there")


@contextlib.contextmanager
def _mounted(directory: Path, *what: str) -> Iterator[bool]:
    """Mount something over a directory, if that is permitted; says whether it was."""
    done = subprocess.run(["mount", *what, str(directory)], capture_output=True, check=False).returncode == 0  # noqa: S603, S607 (fixed words)
    try:
        yield done
    finally:
        if done:
            # Lazily, since others may still have files open there.
            subprocess.run(["umount", "--lazy", str(directory)], check=True)  # noqa: S603, S607 (fixed words)


@contextlib.contextmanager
def _bound_read_only(directory: Path) -> Iterator[None]:
    # The daemon keeps its lock open for writing, so that the mount it is on cannot be made read-only, but one over it.
    with _mounted(directory, "--bind", str(directory)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(directory)], check=True)  # noqa: S603, S607 (fixed words)
        yield


@contextlib.contextmanager
def _filled(directory: Path) -> Iterator[None]:
    filler = directory / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(512))
    try:
        yield
    finally:
        filler.unlink()


@contextlib.contextmanager
def _limited(pid: int) -> Iterator[None]:
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def _replaced(path: Path) -> Iterator[None]:
    path.unlink()
    path.mkdir()
    try:
        yield
    finally:
        path.rmdir()
