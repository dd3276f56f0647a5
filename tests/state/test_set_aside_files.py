"""Files of removed control planes are kept for a day, and unreadable ones to be looked at."""

import os
import time
from pathlib import Path

import pytest
from saved_state import end, files_in, found, good, restored, saved, write

from kuma_sd.state.saver import State


class TestAControlPlaneThatIsRemoved:
    def test_is_kept_for_a_day(self, tmp_path: Path) -> None:
        saved(tmp_path, good("a"), good("b", name="west"))
        state = State(tmp_path)
        restored(state)
        state.remove("east")
        end(state)
        result = found(tmp_path)
        assert (result.last_good, result.removed) == ((good("b", name="west"),), (good("a"),))
        (file,) = tmp_path.glob("east.snapshot.removed-*")
        file.rename(tmp_path / f"east.snapshot.removed-{int(time.time()) - 90_000}")
        assert found(tmp_path).removed == ()
        assert files_in(tmp_path) == ["west.snapshot"]

    def test_is_kept_as_it_was_even_if_that_was_not_on_disk_yet(self, tmp_path: Path) -> None:
        saved(tmp_path, good("a"))
        state = State(tmp_path)
        restored(state)
        state.save(good("b"))
        state.save(good("c", name="west"))
        state.remove("east")
        state.remove("west")
        end(state)
        assert found(tmp_path).removed == (good("b"), good("c", name="west"))

    def test_and_comes_back_is_saved_again(self, tmp_path: Path) -> None:
        saved(tmp_path, good("a"))
        state = State(tmp_path)
        restored(state)
        state.remove("east")
        write(state)
        state.save(good("a"))
        end(state)
        assert found(tmp_path).last_good == (good("a"),)
        # What it was when it was removed is outdated.
        assert files_in(tmp_path) == ["east.snapshot"]


@pytest.mark.parametrize("content", [b"", b"foreign", b"kuma-sd snapshot 2\n"])
def test_a_file_that_cannot_be_read_is_set_aside_with_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    file = tmp_path / "east.snapshot"
    file.write_bytes(content)
    assert found(tmp_path).last_good == ()
    (aside,) = tmp_path.glob("east.snapshot.bad-*")
    assert aside.read_bytes() == content
    assert caplog.text.count("\n") == 1
    assert f"nothing is restored from a file file={file} reason=" in caplog.text
    assert f"renamed_to={aside.name}" in caplog.text


def test_a_file_that_is_none_is_set_aside_and_blocks_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.snapshot")
    (tmp_path / "folder.snapshot").mkdir()
    assert found(tmp_path).last_good == ()
    for name in ("pipe", "folder"):
        saved(tmp_path, good("a", name=name))
    assert [entry.name for entry in found(tmp_path).last_good] == ["folder", "pipe"]


def test_files_that_were_set_aside_do_not_pile_up(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f"east.snapshot.bad-{1000000000 + number}").touch()
    (tmp_path / "east.snapshot").write_text("foreign")
    found(tmp_path)
    kept = files_in(tmp_path)
    assert kept[:2] == ["east.snapshot.bad-1000000008", "east.snapshot.bad-1000000009"]
    assert len(kept) == 3
