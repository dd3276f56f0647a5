import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from swapping import Swapped, swapped_at_each_call

from kuma_sd.system.directories import open_directory, open_path, real_path
from kuma_sd.system.trust_rules import UntrustedError

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="giving links to others needs root")


@pytest.fixture
def closed_umask() -> Iterator[None]:
    """Let nothing be made for others unless that is asked for."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.usefixtures("closed_umask")
def test_directories_are_made_so_that_readers_can_enter_whatever_the_umask(tmp_path: Path) -> None:
    open_directory(tmp_path / "a" / "b", 0o755).close()
    for path in (tmp_path / "a", tmp_path / "a" / "b"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o755


def test_a_directory_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(0o700)
    open_directory(tmp_path / "a" / "b", 0o755).close()
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700


def test_the_group_that_is_inherited_stays(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a").chmod(0o2755)
    open_directory(tmp_path / "a" / "b", 0o755).close()
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o2755


def test_a_file_in_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(NotADirectoryError):
        open_directory(tmp_path / "a" / "b", 0o755).close()


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
    with open_directory(tmp_path) as directory:
        directory.sync()
    assert not caplog.records


def test_a_disk_that_fails_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fsync_that_answers(errno.EIO, monkeypatch)
    with open_directory(tmp_path) as directory:
        directory.sync()
        directory.sync()
    assert caplog.text.count("cannot be flushed to disk") == 1


def test_an_open_umask_makes_nothing_that_others_may_write(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        open_directory(tmp_path / "a" / "b", 0o750).close()
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a", tmp_path / "a" / "b")] == [0o755, 0o750]


def leads(path: Path) -> Path:
    with open_path(path) as found:
        return found.path


def test_a_path_without_links_stays_as_it_is(tmp_path: Path) -> None:
    assert leads(tmp_path / "targets.json") == tmp_path / "targets.json"
    assert leads(Path("/")) == Path("/")


def test_links_are_followed_as_the_kernel_does(tmp_path: Path) -> None:
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real/deep/../deep")
    (tmp_path / "real" / "deep" / "targets.json").symlink_to(tmp_path / "real" / "later.json")
    assert leads(tmp_path / "link" / "targets.json") == tmp_path / "real" / "later.json"


def test_links_that_lead_in_a_circle_are_said(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError) as caught:  # noqa: PT011 (its number says it)
        leads(tmp_path / "a")
    assert caught.value.errno == errno.ELOOP


@needs_root
def test_a_link_in_a_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "his").mkdir()
    (tmp_path / "his" / "targets.json").symlink_to("/etc/passwd")
    os.chown(tmp_path / "his", 12345, 12345)
    with pytest.raises(UntrustedError, match=r"has the symbolic link 'targets.json' in it"):
        leads(tmp_path / "his" / "targets.json")


@needs_root
def test_a_link_that_is_swapped_while_it_is_read_is_no_error_where_only_its_target_is_asked_for(tmp_path: Path) -> None:
    failures = list[OSError]()

    def resolve(place: Swapped) -> None:
        try:
            real_path(place.link / "targets.json")
        except OSError as error:
            failures.append(error)

    assert list(swapped_at_each_call(tmp_path, resolve))
    assert failures == []
