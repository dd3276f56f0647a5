import os
from pathlib import Path

import pytest

from kuma_sd.core.option_types import FileContent
from kuma_sd.plugin import plugin_file
from kuma_sd.plugin.plugin_file import PLUGIN_FILE, load_plugin_file

GO_W = "chmod go-w"

# Members of root's group may do anything anyway.
OTHER_GROUP = 12345 if os.geteuid() == 0 else -1

SOURCE = """
from dataclasses import dataclass

@dataclass
class Point:
    x: "int"

POINT = Point(3)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a plugin file that is trusted."""
    tmp_path.chmod(0o755)
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    path.chmod(0o644)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ValueError, match=r".") as raised:
        PLUGIN_FILE.parse(str(path))
    return str(raised.value)


def test_a_trusted_file_is_run_as_a_module(file: Path) -> None:
    content = PLUGIN_FILE.parse(str(file))
    assert content == FileContent(file, SOURCE.encode())
    module = load_plugin_file(content)
    assert module.POINT.x == 3
    assert module.__file__ == str(file)


def test_what_was_read_is_run_whatever_the_file_holds_by_now(file: Path) -> None:
    content = PLUGIN_FILE.parse(str(file))
    file.write_text("raise AssertionError")
    assert load_plugin_file(content).POINT.x == 3
    assert PLUGIN_FILE.parse(str(file)) != content


def test_the_line_of_an_error_is_that_of_the_file(file: Path) -> None:
    file.write_text("\n\n1 / 0\n")
    with pytest.raises(ZeroDivisionError) as raised:
        load_plugin_file(PLUGIN_FILE.parse(str(file)))
    assert (raised.traceback[-1].path, raised.traceback[-1].lineno) == (file, 2)


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_file_that_others_can_write_is_refused(file: Path, mode: int) -> None:
    os.chown(file, -1, OTHER_GROUP)
    file.chmod(mode)
    assert refusal(file) == f"may hold anything, since {str(file)!r} can be written by other users; run: {GO_W} {file}"


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o1777])
def test_a_file_in_a_directory_that_others_can_write_is_refused(file: Path, mode: int) -> None:
    os.chown(file.parent, -1, OTHER_GROUP)
    file.parent.chmod(mode)
    assert refusal(file) == (
        f"may hold anything, since {str(file.parent)!r} can be written by other users; run: {GO_W} {file.parent}"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a file to another user")
@pytest.mark.parametrize("place", ["mine.py", "."])
def test_a_file_of_another_user_is_refused(file: Path, place: str) -> None:
    os.chown(file.parent / place, 12345, -1)
    assert refusal(file) == f"may hold anything, since {str(file.parent / place)!r} belongs to another user (uid 12345)"


def test_the_directory_of_a_link_and_that_of_the_file_must_be_trusted(file: Path, tmp_path: Path) -> None:
    open_to_all, own = tmp_path / "open", tmp_path / "own"
    for directory, mode in ((open_to_all, 0o777), (own, 0o755)):
        directory.mkdir()
        directory.chmod(mode)
    (open_to_all / "mine.py").symlink_to(file)
    assert refusal(open_to_all / "mine.py").startswith(f"may hold anything, since {str(open_to_all)!r} can be written")
    (open_to_all / "there.py").write_text(SOURCE)
    (open_to_all / "there.py").chmod(0o644)
    (own / "mine.py").symlink_to(open_to_all / "there.py")
    assert refusal(own / "mine.py").startswith(f"may hold anything, since {str(open_to_all)!r} can be written")
    (own / "good.py").symlink_to(file)
    assert PLUGIN_FILE.parse(str(own / "good.py")).content == SOURCE.encode()


def test_a_pipe_is_refused_without_waiting_for_its_writer(file: Path) -> None:
    os.mkfifo(file.parent / "pipe.py", 0o600)
    assert refusal(file.parent / "pipe.py") == "cannot be read: Not a regular file"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gone.py", "cannot be read: No such file or directory"),
        ("mine.txt", "is no name for a plugin file; one is like my_plugin.py"),
        ("Mine.py", "is no name for a plugin file; one is like my_plugin.py"),
        ("a.b.py", "is no name for a plugin file; one is like my_plugin.py"),
        ("", "is no name for a plugin file; one is like my_plugin.py"),
    ],
)
def test_what_is_no_plugin_file_is_refused(file: Path, name: str, reason: str) -> None:
    assert refusal(file.parent / name) == reason


def test_a_file_that_is_too_large_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin_file, "LARGEST", len(SOURCE) - 1)
    assert refusal(file) == "is larger than 1 MiB"
