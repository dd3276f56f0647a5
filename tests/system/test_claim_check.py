"""What FileClaim() refuses, check_claim() foresees in the same words, and changes nothing."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from other_user import KUMA_SD, as_user, give_to, needs_root

from kuma_sd import OutputError, replace_file
from kuma_sd.system.durable_file import FileClaim, check_claim

STRANGER = 23456


def folder_of_a_stranger(directory: Path) -> Path:
    (directory / ".kuma-sd").mkdir()
    give_to(STRANGER, directory / ".kuma-sd")
    return directory / "t.json"


def file_at_the_folder(directory: Path) -> Path:
    (directory / ".kuma-sd").touch()
    return directory / "t.json"


def closed_folder(directory: Path) -> Path:
    (directory / ".kuma-sd").mkdir(0)
    give_to(KUMA_SD, directory / ".kuma-sd")
    return directory / "t.json"


def unwritable_directory(directory: Path) -> Path:
    give_to(STRANGER, directory)
    return directory / "t.json"


def missing_directory_in_an_unwritable_one(directory: Path) -> Path:
    give_to(STRANGER, directory)
    return directory / "not" / "made" / "t.json"


def link_of_a_stranger(directory: Path) -> Path:
    (directory / "link").symlink_to(directory)
    give_to(STRANGER, directory / "link")
    return directory / "link" / "t.json"


def lock(make: Callable[[Path], object], directory: Path) -> Path:
    path = directory / ".kuma-sd" / "t.json.lock"
    path.parent.mkdir(0o700)
    make(path)
    give_to(KUMA_SD, path.parent, path)
    return directory / "t.json"


def long_name(directory: Path) -> Path:
    return directory / ("x" * 243)


def longer_name(directory: Path) -> Path:
    return directory / ("x" * 256)


FAULTS: list[tuple[Callable[[Path], Path], str]] = [
    (folder_of_a_stranger, r".kuma-sd' belongs to another user \(uid 23456\).*rm -r"),
    (file_at_the_folder, r".kuma-sd' is no directory"),
    (closed_folder, r"may not be entered by its owner \(uid 12345\); run: chmod 700 "),
    (unwritable_directory, "Permission denied"),
    (missing_directory_in_an_unwritable_one, "Permission denied"),
    (link_of_a_stranger, r"is a symbolic link that belongs to another user \(uid 23456\)"),
    (lambda directory: lock(lambda path: path.symlink_to("x"), directory), "is a symbolic link.*remove it: rm "),
    (lambda directory: lock(Path.mkdir, directory), "is a directory.*remove it: rm -r "),
    (lambda directory: lock(os.mkfifo, directory), "is a pipe.*remove it: rm "),
    (lambda directory: lock(lambda path: path.touch(0), directory), "may not be opened by .*run: chmod 600 "),
    (long_name, "it has 243 bytes, and may have 242"),
    (longer_name, "it has 256 bytes, and may have 242"),
]


def refusal(work: Callable[[Path], object], path: Path) -> str:
    with pytest.raises(OutputError) as caught:
        work(path)
    return str(caught.value)


def seen(directory: Path) -> list[tuple[str, int]]:
    return sorted((str(path), path.lstat().st_mode) for path in directory.rglob("*"))


@needs_root
@pytest.mark.parametrize(("make", "said"), FAULTS, ids=lambda value: getattr(value, "__name__", "said"))
def test_what_cannot_be_claimed_is_foreseen(tmp_path: Path, make: Callable[[Path], Path], said: str) -> None:
    give_to(KUMA_SD, tmp_path)
    path = make(tmp_path)
    before = seen(tmp_path)
    with as_user(KUMA_SD, tmp_path):
        foreseen = refusal(check_claim, path)
        refused = refusal(FileClaim, path)
    assert seen(tmp_path) == before
    assert re.search(said, foreseen)
    assert foreseen.startswith(refused)


@needs_root
def test_what_can_be_claimed_is_no_fault_and_nothing_is_made(tmp_path: Path) -> None:
    give_to(KUMA_SD, tmp_path)
    paths = [tmp_path / "t.json", tmp_path / "not" / "made" / "t.json", tmp_path / ("x" * 242)]
    with as_user(KUMA_SD, tmp_path):
        for path in paths:
            check_claim(path)
        assert list(tmp_path.iterdir()) == []
        for path in paths:
            claim = FileClaim(path)
            check_claim(path)
            replace_file(path, [b"x"])
            claim.release()


@needs_root
def test_a_lock_of_a_stranger_is_no_fault(tmp_path: Path) -> None:
    give_to(KUMA_SD, tmp_path)
    path = lock(os.mkfifo, tmp_path)
    give_to(STRANGER, tmp_path / ".kuma-sd" / "t.json.lock")
    with as_user(KUMA_SD, tmp_path):
        check_claim(path)
        FileClaim(path).release()


@needs_root
def test_a_folder_of_ours_that_is_open_to_others_is_no_fault(tmp_path: Path) -> None:
    give_to(KUMA_SD, tmp_path)
    (tmp_path / ".kuma-sd").mkdir()
    (tmp_path / ".kuma-sd").chmod(0o777)
    give_to(KUMA_SD, tmp_path / ".kuma-sd")
    with as_user(KUMA_SD, tmp_path):
        check_claim(tmp_path / "t.json")
    assert (tmp_path / ".kuma-sd").stat().st_mode & 0o777 == 0o777


@needs_root
def test_a_file_that_a_stranger_put_into_a_sticky_directory_is_named_with_what_to_run(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.touch()
    give_to(STRANGER, path)
    tmp_path.chmod(0o1777)
    said = f"{path}' belongs to another user (uid {STRANGER}), and the sticky bit of its directory lets only him"
    with as_user(KUMA_SD, tmp_path):
        foreseen = refusal(check_claim, path)
        refused = refusal(lambda path: replace_file(path, [b"x"]), path)
    assert f"{said} replace it; remove it: rm {path}" in foreseen
    assert f"{said} replace it; remove it: rm {path}" in refused
