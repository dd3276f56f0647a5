"""A restart begins with what was published last, whatever happened to the files meanwhile."""

import logging
import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from saved_state import NAMES, end, files_in, found, good, restored, saved, write
from waiting import eventually

from kuma_sd.core.model import LastGoodTargets
from kuma_sd.state import snapshot_file
from kuma_sd.state.directory import STOPPED
from kuma_sd.state.saver import State
from kuma_sd.system.threads import Threads
from kuma_sd.testing import snapshot


def wait_for(state: State, saves: int) -> None:
    eventually(lambda: state.status.saves >= saves, f"{saves} lists are saved")


def test_what_was_saved_is_restored_with_where_it_came_from(tmp_path: Path) -> None:
    saved(tmp_path, good("a", "b", received=100.0))
    assert found(tmp_path).last_good == (good("a", "b", received=100.0),)


def test_nothing_saved_is_nothing_restored_and_no_word_about_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert found(tmp_path / "new").last_good == ()
    assert caplog.text == ""


def test_that_a_control_plane_is_empty_is_restored_too(tmp_path: Path) -> None:
    saved(tmp_path, good("a"))
    saved(tmp_path, good(received=2.0))
    assert found(tmp_path).last_good == (good(received=2.0),)


def test_it_is_known_whether_everything_was_saved_at_the_end(tmp_path: Path) -> None:
    assert not found(tmp_path).exact
    state = State(tmp_path)
    assert restored(state).exact
    state._directory.release()
    assert not found(tmp_path).exact, "the process before was killed"


def test_when_the_last_process_stopped_is_known_from_the_mark_and_not_from_its_file(tmp_path: Path) -> None:
    before = time.time()
    found(tmp_path)
    after = time.time()
    os.utime(tmp_path / STOPPED, (1.0, 1.0))
    stopped = found(tmp_path).stopped
    assert stopped is not None
    assert before <= stopped <= after


@pytest.mark.parametrize("content", ["", "soon", "nan", "inf", "-1", "4e9"])
def test_a_mark_without_a_time_that_can_be_right_says_nothing(tmp_path: Path, content: str) -> None:
    found(tmp_path)
    (tmp_path / STOPPED).write_text(content)
    assert not found(tmp_path).exact
    assert found(tmp_path).exact, "the process before wrote a good one"


def test_the_directory_and_its_files_are_nobody_elses_business(tmp_path: Path) -> None:
    saved(tmp_path / "a/state", good("a"))
    assert stat.S_IMODE((tmp_path / "a/state").stat().st_mode) & 0o027 == 0
    for file in (tmp_path / "a/state").glob("*.snapshot"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_each_control_plane_has_its_own_file(tmp_path: Path) -> None:
    both = good("a"), good("b", name="west")
    saved(tmp_path, *both)
    assert files_in(tmp_path) == ["east.snapshot", "west.snapshot"]
    assert found(tmp_path).last_good == both


def test_two_control_planes_of_one_name_are_both_restored_and_of_one_the_newest(tmp_path: Path) -> None:
    east, other = good("a"), replace(good("b", file="west"), endpoints=frozenset({"other:5676"}))
    saved(tmp_path, east, other, good("c", received=0.5, file="pipe"))
    assert found(tmp_path).last_good == (east, other)


def test_a_file_of_the_version_before_is_read(tmp_path: Path) -> None:
    before = snapshot("a", control_plane="east")
    header = {"identity": "east", "received": 1.0, "assignments": 1}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(snapshot_file, "_Header", lambda *_arguments: header)
        (tmp_path / "east.snapshot").write_bytes(b"".join(snapshot_file.write(before, "east")))
    assert found(tmp_path).last_good == (replace(good("a"), endpoints=frozenset()),)


def test_what_a_later_version_adds_to_the_header_does_not_disturb(tmp_path: Path) -> None:
    header = {"identity": "east", "received": 1.0, "assignments": 0, "name": "east", "more": [1]}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(snapshot_file, "_Header", lambda *_arguments: header)
        (tmp_path / "east.snapshot").write_bytes(b"".join(snapshot_file.write(snapshot(), "east")))
    assert found(tmp_path).last_good == (replace(good(), endpoints=frozenset()),)


def test_the_first_is_saved_at_once_the_next_are_gathered_and_the_last_is_saved_at_the_end(
    tmp_path: Path, threads: Threads
) -> None:
    state = State(tmp_path, pause=1000.0)
    restored(state)
    threads.start("state", state)
    state.save(good("a"))
    wait_for(state, saves=1)
    for name in ("b", "c", "d"):
        state.save(good(name))
    assert threads.stop(timeout=5) == []
    assert state.status.saves == 2
    assert found(tmp_path).last_good == (good("d"),)


def test_after_a_pause_the_next_one_is_saved(tmp_path: Path, threads: Threads) -> None:
    state = State(tmp_path, pause=0.01)
    restored(state)
    threads.start("state", state)
    for number in range(1, 4):
        state.save(good(f"a{number}"))
        wait_for(state, saves=number)


def test_what_did_not_change_is_not_written_again_not_even_after_a_restart(tmp_path: Path) -> None:
    saved(tmp_path, good("a", "b", received=1.0))
    inode = (tmp_path / "east.snapshot").stat().st_ino
    saved(tmp_path, good("a", "b", received=2.0))
    assert (tmp_path / "east.snapshot").stat().st_ino == inode


def test_ending_is_quick_with_a_hundred_thousand_targets(tmp_path: Path, threads: Threads) -> None:
    large = good(*(f"backend-{number:06}" for number in range(100_000)))
    state = State(tmp_path)
    restored(state)
    threads.start("state", state)
    state.save(large)
    wait_for(state, saves=1)
    state.save(replace(large, assignments=large.assignments[1:]))
    begun = time.perf_counter()
    assert threads.stop(timeout=5) == []
    assert time.perf_counter() - begun < 1.0, "0.1 s when nothing else runs"
    assert state.status.saves == 2


def test_files_of_others_are_not_touched(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    saved(tmp_path, good("a"))
    foreign = ["targets.json", "other.snapshot", "East.snapshot", "west.snapshot.bak", "west.snapshot.gz"]
    for name in foreign:
        (tmp_path / name).write_text("foreign")
    found(tmp_path)
    assert files_in(tmp_path) == sorted([*foreign, "east.snapshot"])
    assert caplog.text == ""


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    saved(tmp_path, good("a"))
    workshop = tmp_path / ".kuma-sd"
    for name in ("east.snapshot.x1y2.tmp", "gone.snapshot.abc.tmp", "targets.json.abc.tmp", "targets.json.lock"):
        (workshop / name).touch()
    found(tmp_path)
    assert sorted(path.name for path in workshop.iterdir()) == ["targets.json.abc.tmp", "targets.json.lock"]


def test_a_truncated_file_and_one_with_a_flipped_bit_is_never_half_believed(tmp_path: Path) -> None:
    saved(tmp_path, good(*(f"a{number}" for number in range(300))))
    file = tmp_path / "east.snapshot"
    whole, moments = file.read_bytes(), random.Random(7)
    places = [moments.randrange(len(whole)) for _ in range(60)]
    damaged = [whole[:place] for place in places]
    damaged += [whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :] for place in places]
    for content in damaged:
        file.write_bytes(content)
        assert found(tmp_path).last_good == ()
        assert not file.exists()


def test_a_codec_that_fails_is_the_plugins_fault_and_no_crash(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_name: str) -> Any:
        raise ZeroDivisionError("oops")

    saved(tmp_path, good("a"))
    state = State(tmp_path)
    assert state.restore(NAMES, broken).last_good == ()
    end(state)
    assert "unexpected ZeroDivisionError: oops" in caplog.text
    assert "Traceback" in caplog.text


def test_what_cannot_be_written_is_said_once_and_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    state = State(tmp_path)
    restored(state)
    nameless: Any = object()
    bad = [msgspec.structs.replace(assignment, codec=nameless) for assignment in good("a").assignments]
    write(state, replace(good("a"), assignments=bad))
    write(state)
    assert state.status.failures == 2
    assert caplog.text.count("are not saved") == 1
    write(state, good("a"))
    assert (state.status.saves, state.status.failing) == (1, "")
    end(state)


def test_a_directory_that_another_daemon_had_is_used_once_it_is_free(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, threads: Threads
) -> None:
    saved(tmp_path, good("a"))
    first, second = State(tmp_path), State(tmp_path, pause=0.01)
    restored(first)
    assert restored(second).last_good == ()
    threads.start("state", second)
    second.save(good("b"))
    eventually(lambda: second.status.failures >= 2, "saving fails again and again")
    assert f"another kuma-sd uses the state directory '{tmp_path}'; give one of them another" in caplog.text
    assert caplog.text.count("\n") == 1
    end(first)
    wait_for(second, saves=1)
    assert threads.stop(timeout=5) == []
    assert found(tmp_path).last_good == (good("b"),)


@pytest.mark.parametrize("directory", ["/dev/null/state", "/proc/kuma-sd-state"])
def test_a_directory_that_cannot_be_made_is_said_once_and_the_daemon_works_without(
    caplog: pytest.LogCaptureFixture, directory: str
) -> None:
    state = State(Path(directory))
    assert restored(state).last_good == ()
    state.save(good("a"))
    end(state)
    assert f"cannot write into the state directory '{directory}'" in caplog.text
    assert caplog.text.count("\n") == 1


def test_a_directory_that_vanished_is_made_again(tmp_path: Path) -> None:
    directory, moved = tmp_path / "state", tmp_path / "moved"
    state = State(directory)
    restored(state)
    write(state, good("a"), good("c", name="west"))
    directory.rename(moved)
    write(state, good("b"))
    assert state._directory.has(["east.snapshot", "west.snapshot"]), "everything is saved again"
    second = State(directory)
    restored(second)
    assert second.status.failing, "the lock was taken anew"
    end(second)
    end(state)
    assert found(directory).last_good == (good("b"), good("c", name="west"))


def test_a_directory_that_was_emptied_is_filled_again_though_nothing_changes(
    tmp_path: Path, threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kuma_sd.state.saver.CHECK_SECONDS", 0.01)
    state = State(tmp_path, pause=0.01)
    restored(state)
    threads.start("state", state)
    state.save(good("a"))
    wait_for(state, saves=1)
    (tmp_path / "east.snapshot").unlink()
    wait_for(state, saves=2)
    assert threads.stop(timeout=5) == []
    assert found(tmp_path).last_good == (good("a"),)


def test_what_could_not_be_saved_is_tried_again_and_both_are_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, threads: Threads
) -> None:
    caplog.set_level("INFO")
    directory = tmp_path / "state"
    state = State(directory, pause=0.01)
    restored(state)
    directory.rename(tmp_path / "moved")
    directory.write_text("in the way")
    threads.start("state", state)
    state.save(good("a"))
    eventually(lambda: state.status.failures >= 3, "saving fails again and again")
    directory.unlink()
    eventually(lambda: not state.status.failing, "it is saved")
    assert state.status.saves == 1
    assert caplog.text.count("trying again") == 1
    assert caplog.text.count("are saved again") == 1


WRITER = """
import itertools, sys
from pathlib import Path
from test_saver import restored, worlds, write
from kuma_sd.state.saver import State
state = State(Path(sys.argv[1]))
restored(state)
for world in itertools.cycle(worlds()):
    write(state, world)
    print(state.status.saves, flush=True)
"""


def worlds() -> list[LastGoodTargets]:
    return [good(*(f"{world}-{number}" for number in range(3000))) for world in ("old", "new")]


def test_a_process_that_is_killed_while_it_writes_leaves_the_old_state_or_the_new(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    both, moments = worlds(), random.Random(7)
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    for _ in range(8):
        command = [sys.executable, "-c", WRITER, str(tmp_path)]
        environment = {**os.environ, "PYTHONPATH": path}
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline()
            threading.Event().wait(moments.uniform(0, 0.03))  # the moment is what is tried
            writer.send_signal(signal.SIGKILL)
        (last_good,) = found(tmp_path).last_good
        assert last_good in both
        assert list((tmp_path / ".kuma-sd").iterdir()) == []
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_one_change_is_appended_to_the_file_and_restored(tmp_path: Path, threads: Threads) -> None:
    state = State(tmp_path, pause=0.0)
    restored(state)
    threads.start("state", state)
    many = [f"b-{number:04}" for number in range(1000)]
    state.save(good(*many))
    wait_for(state, 1)
    (path,) = tmp_path.glob("east*.snapshot")
    before = path.stat()
    known = state._newest["east"].assignments
    added = snapshot("new", control_plane="east").assignments
    state.save(replace(good(), assignments=[*known[1:], *added], received=2.0))
    wait_for(state, 2)
    after = path.stat()
    assert (after.st_ino, after.st_size - before.st_size < 1000) == (before.st_ino, True)
    assert threads.stop(timeout=5) == []
    assert found(tmp_path).last_good == (good(*many[1:], "new", received=2.0),)
