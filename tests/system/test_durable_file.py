import errno
import grp
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from os_reasons import IS_A_DIRECTORY, NOT_A_DIRECTORY

from kuma_sd import OutputError
from kuma_sd.system.durable_file import FileClaim, file_holds, replace_file


def test_a_file_is_replaced_in_one_step_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "targets.json"
    path.write_bytes(b"old")
    inode = path.stat().st_ino
    replace_file(path, [b"new ", b"content"], mode=0o640)
    assert path.read_bytes() == b"new content"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert path.stat().st_ino != inode


def test_nothing_but_the_file_appears_in_the_directory_that_prometheus_watches(tmp_path: Path) -> None:
    replace_file(tmp_path / "targets.json", [b"x"])
    assert sorted(each.name for each in tmp_path.iterdir()) == [".kuma-sd", "targets.json"]
    assert list((tmp_path / ".kuma-sd").iterdir()) == []


def test_a_failure_half_way_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise RuntimeError("half way")

    path = tmp_path / "targets.json"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="half way"):
        replace_file(path, broken())
    assert path.read_bytes() == b"old"
    assert list((tmp_path / ".kuma-sd").iterdir()) == []


def test_a_full_disk_is_said_with_the_path() -> None:
    with pytest.raises(OutputError, match=rf"cannot write '/dev/full/targets\.json': {NOT_A_DIRECTORY}"):
        replace_file(Path("/dev/full/targets.json"), [b"x"])


def test_a_path_that_is_a_directory_is_said(tmp_path: Path) -> None:
    (tmp_path / "targets.json").mkdir()
    with pytest.raises(OutputError, match=IS_A_DIRECTORY):
        replace_file(tmp_path / "targets.json", [b"x"])


def test_an_unknown_group_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="there is no group 'no-such-group' to give the file to"):
        replace_file(tmp_path / "targets.json", [b"x"], group="no-such-group")


def test_holds_compares_content_and_mode(tmp_path: Path) -> None:
    path = tmp_path / "targets.json"
    assert not file_holds(path, [b"ab", b"c"])
    replace_file(path, [b"abc"], mode=0o644)
    assert file_holds(path, [b"ab", b"c"])
    assert not file_holds(path, [b"ab"])
    assert not file_holds(path, [b"abcd"])
    assert not file_holds(path, [b"ab", b"c"], mode=0o600)


def test_claiming_makes_the_directory_and_removes_what_a_killed_process_left(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "targets.json"
    FileClaim(path).release()
    left, other = path.parent / ".kuma-sd/targets.json.0123abcd.tmp", path.parent / ".kuma-sd/other.json.0123abcd.tmp"
    left.touch()
    other.touch()
    claim = FileClaim(path)
    assert not left.exists()
    assert other.exists()
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755
    claim.release()


def test_only_one_process_may_claim_a_file(tmp_path: Path) -> None:
    path = tmp_path / "targets.json"
    claim = FileClaim(path)
    code = "import sys, pathlib, kuma_sd.system.durable_file as files; files.FileClaim(pathlib.Path(sys.argv[1]))"
    other = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
    assert f"another kuma-sd writes '{path}' already" in other.stderr
    claim.release()
    FileClaim(path).release()


def test_a_claim_outlives_the_removal_of_the_directory(tmp_path: Path) -> None:
    path = tmp_path / "sd" / "targets.json"
    first = FileClaim(path)
    path.parent.rename(tmp_path / "gone")
    second = FileClaim(path)
    with pytest.raises(OutputError, match="another kuma-sd writes"):
        first.renew()
    second.release()
    first.renew()
    with pytest.raises(OutputError, match="another kuma-sd writes"):
        second.renew()
    first.release()


def test_a_directory_that_cannot_be_made_is_said_by_name() -> None:
    with pytest.raises(OutputError, match=f"cannot write into the directory '/dev/null/x': {NOT_A_DIRECTORY}"):
        FileClaim(Path("/dev/null/x/targets.json"))


def test_claiming_a_file_leaves_the_temporary_file_of_one_whose_name_is_longer(tmp_path: Path) -> None:
    claim = FileClaim(tmp_path / "kuma.json")
    temporary = tmp_path / ".kuma-sd" / "kuma.json.0123abcd.tmp"
    temporary.touch()
    FileClaim(tmp_path / "kuma").release()
    assert temporary.exists()
    claim.release()


def test_what_cannot_be_flushed_is_in_place_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Some file systems flush nothing, or no directories; none at hand.
    def fsync(_descriptor: int) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "fsync", fsync)
    replace_file(tmp_path / "targets.json", [b"new"])
    assert (tmp_path / "targets.json").read_bytes() == b"new"


def test_a_disk_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(_descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    replace_file(tmp_path / "targets.json", [b"old"])
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OutputError, match="cannot write"):
        replace_file(tmp_path / "targets.json", [b"new"])
    assert (tmp_path / "targets.json").read_bytes() == b"old"


def test_a_pipe_in_the_files_place_is_replaced_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "targets.json")
    assert not file_holds(tmp_path / "targets.json", [b"new"])
    replace_file(tmp_path / "targets.json", [b"new"])
    assert file_holds(tmp_path / "targets.json", [b"new"])


def test_another_group_is_a_difference(tmp_path: Path) -> None:
    path = tmp_path / "targets.json"
    replace_file(path, [b"x"])
    own = grp.getgrgid(path.stat().st_gid).gr_name
    other = next(group.gr_name for group in grp.getgrall() if group.gr_gid != path.stat().st_gid)
    assert file_holds(path, [b"x"], group=own)
    assert not file_holds(path, [b"x"], group=other)
