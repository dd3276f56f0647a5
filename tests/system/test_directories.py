import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from kuma_sd.system.directories import make_directories, sync_directory


@pytest.fixture
def closed_umask() -> Iterator[None]:
    """Let nothing be made for others unless that is asked for."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.usefixtures("closed_umask")
def test_directories_are_made_so_that_readers_can_enter_whatever_the_umask(tmp_path: Path) -> None:
    make_directories(tmp_path / "a" / "b")
    for path in (tmp_path / "a", tmp_path / "a" / "b"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o755


def test_a_directory_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(0o700)
    make_directories(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700


def test_the_group_that_is_inherited_stays(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a").chmod(0o2755)
    make_directories(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o2755


def test_a_file_in_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(NotADirectoryError):
        make_directories(tmp_path / "a" / "b")


def fsync_that_answers(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let flushing fail, as no file system at hand does."""

    def fsync(_descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EOPNOTSUPP])
def test_a_file_system_that_flushes_no_directories_is_nothing_to_look_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    fsync_that_answers(number, monkeypatch)
    sync_directory(tmp_path)
    assert not caplog.records


def test_a_disk_that_fails_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fsync_that_answers(errno.EIO, monkeypatch)
    sync_directory(tmp_path)
    sync_directory(tmp_path)
    assert caplog.text.count("cannot be flushed to disk") == 1


def test_an_open_umask_makes_nothing_that_others_may_write(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_directories(tmp_path / "a" / "b", 0o750)
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a", tmp_path / "a" / "b")] == [0o755, 0o750]
