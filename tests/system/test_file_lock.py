import contextlib
import errno
import fcntl
import itertools
import os
import re
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from swapping import interrupted_at

from kuma_sd.system.directories import open_directory
from kuma_sd.system.file_lock import FileLock, LockedError

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="giving files to others needs root")


class Lock:
    """A lock at a path."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = FileLock()
        self.release = self._lock.release

    def acquire(self) -> bool:
        with open_directory(self._path.parent) as directory:
            return self._lock.acquire(directory, self._path.name)


def test_only_one_has_it_until_it_is_released(tmp_path: Path) -> None:
    first, second = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    assert first.acquire()
    assert not first.acquire()
    with pytest.raises(LockedError):
        second.acquire()
    first.release()
    assert second.acquire()
    second.release()


def test_it_is_taken_anew_when_its_file_was_removed(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "lock")
    lock.acquire()
    (tmp_path / "lock").unlink()
    assert lock.acquire()
    lock.release()


def test_nobody_else_may_open_its_file(tmp_path: Path) -> None:
    (tmp_path / "lock").touch(0o644)
    lock = Lock(tmp_path / "lock")
    lock.acquire()
    lock.release()
    assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == 0o600


@pytest.mark.parametrize("reason", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_said_once_and_does_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, reason: int
) -> None:
    # The kernel's answer on NFS without lockd; no file system at hand gives it.
    def flock(_descriptor: int, _operation: int) -> None:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(fcntl, "flock", flock)
    lock = Lock(tmp_path / "lock")
    assert lock.acquire()
    (tmp_path / "lock").unlink()
    assert lock.acquire()
    lock.release()
    assert caplog.text.count("the file system does not support locks") == 1


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError) as caught:  # noqa: PT011 (its number says it)
        Lock(tmp_path / "lock").acquire()
    assert caught.value.errno == errno.ELOOP
    assert not (tmp_path / "elsewhere").exists()


def link(path: Path) -> None:
    path.symlink_to("elsewhere")


@pytest.mark.parametrize(
    ("make", "kind", "remove"),
    [(link, "a symbolic link", "rm"), (Path.mkdir, "a directory", "rm -r"), (os.mkfifo, "a pipe", "rm")],
)
def test_what_is_no_file_in_its_place_is_named_with_whose_it_is_and_what_to_run_without_waiting(
    tmp_path: Path, make: Callable[[Path], None], kind: str, remove: str
) -> None:
    path = tmp_path / "lo ck"
    make(path)
    said = f"'{path}' belongs to uid {os.geteuid()} and is {kind}, where kuma-sd locks a regular file; remove it: "
    with pytest.raises(OSError, match=re.escape(f"{said}{remove} '{path}'")):
        Lock(path).acquire()


@pytest.mark.parametrize(("owner", "command"), [(12345, "chmod 600"), (23456, "chown 12345"), (0, "chown 12345")])
@needs_root
def test_one_that_may_not_be_opened_is_named_with_whose_it_is_and_what_to_run(
    tmp_path: Path, owner: int, command: str
) -> None:
    path = tmp_path / "lock"
    path.touch(0)
    # The owner of the directory is trusted.
    os.chown(tmp_path, owner or 12345, -1)
    os.chown(path, owner, -1)
    for parent in [tmp_path, *tmp_path.parents[:-1]]:
        parent.chmod(parent.stat().st_mode | 0o755)
    said = f"'{path}' belongs to uid {owner} and may not be opened by kuma-sd's user (uid 12345); run: {command} {path}"
    os.seteuid(12345)
    try:
        with pytest.raises(PermissionError, match=re.escape(said)):
            Lock(path).acquire()
    finally:
        os.seteuid(0)


@needs_root
@pytest.mark.parametrize("kind", ["file", "pipe", "link"])
def test_what_another_user_put_in_its_place_keeps_nobody_from_going_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    path = tmp_path / "lock"
    if kind == "file":
        path.touch()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(tmp_path)
    os.chown(path, 12345, 12345, follow_symlinks=False)
    theirs = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.flock(theirs, fcntl.LOCK_EX)
    lock = Lock(path)
    assert lock.acquire()
    assert not lock.acquire()
    lock.release()
    os.close(theirs)
    assert caplog.text.count("another user made the lock file") == 1
    assert path.lstat().st_uid == 12345


@needs_root
def test_a_lock_of_who_owns_the_directory_is_honoured(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    for path in (tmp_path, tmp_path / "lock"):
        os.chown(path, 12345, 12345)
    theirs = os.open(tmp_path / "lock", os.O_RDONLY)
    fcntl.flock(theirs, fcntl.LOCK_EX)
    with pytest.raises(LockedError):
        Lock(tmp_path / "lock").acquire()
    os.close(theirs)


@needs_root
def test_a_lock_that_another_user_makes_at_the_last_moment_keeps_nobody_from_going_on(tmp_path: Path) -> None:
    """Whatever lies between looking for the file and opening it."""
    for number in itertools.count():
        path = tmp_path / str(number) / "lock"
        path.parent.mkdir()
        theirs = path.parent / "theirs"
        theirs.touch()
        theirs.chmod(0o666)
        os.chown(theirs, 12345, 12345)
        lock = Lock(path)
        with theirs.open() as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            with interrupted_at(number, partial(put, theirs, path)) as was_reached:
                assert lock.acquire()
        lock.release()
        if not was_reached():
            break
    assert number > 1


def put(file: Path, path: Path) -> None:
    """Give a file another name, unless there is a file of that name."""
    with contextlib.suppress(FileExistsError):
        path.hardlink_to(file)


@pytest.mark.parametrize("mode", [0o666, 0o644])
def test_another_file_that_somebody_linked_there_is_neither_locked_nor_closed_to_others(
    tmp_path: Path, mode: int
) -> None:
    shared = tmp_path / "shared"
    shared.touch()
    shared.chmod(mode)
    os.link(shared, tmp_path / "lock")
    with shared.open() as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        assert Lock(tmp_path / "lock").acquire()
    assert stat.S_IMODE(shared.stat().st_mode) == mode
    assert not (tmp_path / "lock").samefile(shared)
