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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from processes import eventually

from kuma_sd import Snapshot, SourcePlugin
from kuma_sd.state.saver import State
from kuma_sd.system.threads import Threads
from kuma_sd.testing import CODEC, snapshot

FOREVER = float("-inf")


def never(*_arguments: Any) -> Any:
    raise AssertionError("state opens no source")


PLUGIN = SourcePlugin("testing", ("test",), never, codec={CODEC.name: CODEC}.__getitem__)
MUTE = SourcePlugin("mute", ("mute",), never)


@dataclass(frozen=True)
class ControlPlane:
    name: str = ""
    address: str = "test://localhost"
    plugin: SourcePlugin = PLUGIN


@pytest.fixture
def threads() -> Iterator[Threads]:
    running = Threads()
    yield running
    assert running.stop(timeout=5) == []
    assert running.failure is None


def started(directory: Path, *control_planes: ControlPlane, interval: float = 1000.0) -> State:
    state = State(directory, control_planes or [ControlPlane()], interval)
    state.start()
    return state


def saved(directory: Path, one: Snapshot, *control_planes: ControlPlane) -> None:
    """Save a snapshot, as a daemon that ends does."""
    state = started(directory, *control_planes)
    state.mailbox.put(one.control_plane, one)
    state.close()
    state.run()
    assert not state.status.failing


def restored(directory: Path, *control_planes: ControlPlane, name: str = "") -> Snapshot | None:
    state = started(directory, *control_planes)
    found = state.restore(name)
    end(state)
    return found


def end(state: State) -> None:
    state.close()
    state.run()


def wait_for(state: State, saves: int) -> None:
    eventually(lambda: state.status.saves >= saves, f"{saves} snapshots are saved")


def files_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if not path.name.startswith((".", "kuma-sd.lock")))


def test_what_was_saved_is_restored_with_the_time_it_came_but_without_a_connection(tmp_path: Path) -> None:
    saved(tmp_path, snapshot("a", "b", received=100.0, connected=5.0))
    assert restored(tmp_path) == snapshot("a", "b", received=100.0, connected=FOREVER)


def test_nothing_saved_is_nothing_restored_and_no_word_about_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert restored(tmp_path / "new") is None
    assert caplog.text == ""


def test_an_empty_snapshot_replaces_what_was_saved_but_is_not_restored(tmp_path: Path) -> None:
    saved(tmp_path, snapshot("a"))
    saved(tmp_path, snapshot())
    assert len(list(tmp_path.glob("*.snapshot"))) == 1
    assert restored(tmp_path) is None


def test_the_directory_and_its_files_are_nobody_elses_business(tmp_path: Path) -> None:
    saved(tmp_path / "a/state", snapshot("a"))
    assert stat.S_IMODE((tmp_path / "a/state").stat().st_mode) & 0o027 == 0
    (file,) = (tmp_path / "a/state").glob("*.snapshot")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_control_plane_with_a_name_may_move(tmp_path: Path) -> None:
    saved(tmp_path, snapshot("a", control_plane="east"), ControlPlane("east", "test://old"))
    found = restored(tmp_path, ControlPlane("east", "test://new"), name="east")
    assert found == snapshot("a", control_plane="east", connected=FOREVER)


def test_another_address_of_one_without_a_name_is_another_control_plane(tmp_path: Path) -> None:
    saved(tmp_path, snapshot("simulated"), ControlPlane(address="test://simulator"))
    assert restored(tmp_path, ControlPlane(address="test://real")) is None


def test_each_control_plane_has_its_own_file(tmp_path: Path) -> None:
    east, west = ControlPlane("east"), ControlPlane("west")
    state = started(tmp_path, east, west)
    state.mailbox.put("east", snapshot("a", control_plane="east"))
    state.mailbox.put("west", snapshot("b", control_plane="west"))
    end(state)
    assert files_in(tmp_path) == ["east.snapshot", "west.snapshot"]
    found = restored(tmp_path, east, west, name="west")
    assert found == snapshot("b", control_plane="west", connected=FOREVER)


def test_a_source_without_codecs_is_neither_saved_nor_restored(tmp_path: Path) -> None:
    saved(tmp_path, snapshot("a"), ControlPlane(plugin=MUTE))
    assert files_in(tmp_path) == []
    assert restored(tmp_path, ControlPlane(plugin=MUTE)) is None


def test_the_first_is_saved_at_once_the_next_are_gathered_and_the_last_is_saved_at_the_end(
    tmp_path: Path, threads: Threads
) -> None:
    state = started(tmp_path)
    threads.start("state", state)
    state.mailbox.put("", snapshot("a"))
    wait_for(state, saves=1)
    for name in ("b", "c", "d"):
        state.mailbox.put("", snapshot(name))
    assert threads.stop(timeout=5) == []
    assert state.status.saves == 2
    assert restored(tmp_path) == snapshot("d", connected=FOREVER)


def test_after_the_interval_the_next_one_is_saved(tmp_path: Path, threads: Threads) -> None:
    state = started(tmp_path, interval=0.01)
    threads.start("state", state)
    for number in range(1, 4):
        state.mailbox.put("", snapshot(f"a{number}"))
        wait_for(state, saves=number)


def test_what_did_not_change_is_not_written_again_not_even_after_a_restart(tmp_path: Path) -> None:
    saved(tmp_path, snapshot("a", "b", received=1.0))
    (file,) = tmp_path.glob("*.snapshot")
    inode = file.stat().st_ino
    state = started(tmp_path)
    assert state.restore("")
    state._save({"": snapshot("a", "b", received=2.0)})
    state._save({"": snapshot("a", "b", received=3.0)})
    end(state)
    assert state.status.saves == 0
    assert file.stat().st_ino == inode


def test_ending_is_quick_with_a_hundred_thousand_targets(tmp_path: Path, threads: Threads) -> None:
    large = snapshot(*(f"backend-{number:06}" for number in range(100_000)))
    state = started(tmp_path)
    threads.start("state", state)
    state.mailbox.put("", large)
    wait_for(state, saves=1)
    state.mailbox.put("", Snapshot("", large.assignments[1:], 2.0, 0.0))
    begun = time.perf_counter()
    assert threads.stop(timeout=5) == []
    assert time.perf_counter() - begun < 1.0, "0.1 s when nothing else runs"
    assert state.status.saves == 2


def test_the_state_of_control_planes_that_are_gone_is_removed_and_nothing_foreign(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    saved(tmp_path, snapshot("a"))
    saved(tmp_path, snapshot("a", control_plane="east"), ControlPlane("east"), ControlPlane())
    saved(tmp_path, snapshot("a", control_plane="west"), ControlPlane("west"), ControlPlane("east"), ControlPlane())
    (tmp_path / "west.snapshot.bad-17").touch()
    (tmp_path / "east.snapshot.bad-17").touch()
    foreign = ["targets.json", "other.snapshot", "East.snapshot", "west.snapshot.bak", "west.snapshot.gz"]
    for name in foreign:
        (tmp_path / name).write_text("foreign")
    (tmp_path / "folder.snapshot").mkdir()
    caplog.clear()
    end(started(tmp_path, ControlPlane("east")))
    assert files_in(tmp_path) == sorted([*foreign, "folder.snapshot", "east.snapshot", "east.snapshot.bad-17"])
    assert caplog.text.count("its control plane is not in the settings any more") == 3


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    saved(tmp_path, snapshot("a", control_plane="east"), ControlPlane("east"))
    workshop = tmp_path / ".kuma-sd"
    for name in ("east.snapshot.x1y2.tmp", "gone.snapshot.abc.tmp", "targets.json.abc.tmp", "targets.json.lock"):
        (workshop / name).touch()
    end(started(tmp_path, ControlPlane("east")))
    assert sorted(path.name for path in workshop.iterdir()) == ["targets.json.abc.tmp", "targets.json.lock"]


@pytest.mark.parametrize("content", [b"", b"foreign", b"kuma-sd snapshot 2\n", "cut off"])
def test_a_file_that_cannot_be_read_is_set_aside_with_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes | str
) -> None:
    east = ControlPlane("east")
    saved(tmp_path, snapshot("a", control_plane="east"), east)
    file = tmp_path / "east.snapshot"
    before = file.read_bytes()[:-1] if isinstance(content, str) else content
    file.write_bytes(before)
    assert restored(tmp_path, east, name="east") is None
    (aside,) = tmp_path.glob("east.snapshot.bad-*")
    assert aside.read_bytes() == before
    assert caplog.text.count("\n") == 1
    assert f"control plane east: nothing is restored: '{file}' " in caplog.text
    assert f"it was renamed to {aside.name}" in caplog.text
    saved(tmp_path, snapshot("b", control_plane="east"), east)
    assert restored(tmp_path, east, name="east") == snapshot("b", control_plane="east", connected=FOREVER)


def test_a_file_that_is_none_is_set_aside_and_blocks_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.snapshot")
    (tmp_path / "folder.snapshot").mkdir()
    planes = ControlPlane("pipe"), ControlPlane("folder")
    for name in ("pipe", "folder"):
        assert restored(tmp_path, *planes, name=name) is None
        saved(tmp_path, snapshot("a", control_plane=name), *planes)
        assert restored(tmp_path, *planes, name=name)


def test_files_that_were_set_aside_do_not_pile_up(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f"east.snapshot.bad-{1000000000 + number}").touch()
    (tmp_path / "east.snapshot").write_text("foreign")
    assert restored(tmp_path, ControlPlane("east"), name="east") is None
    kept = files_in(tmp_path)
    assert kept[:2] == ["east.snapshot.bad-1000000008", "east.snapshot.bad-1000000009"]
    assert len(kept) == 3


def test_a_codec_that_fails_is_the_plugins_fault_and_no_crash(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_name: str) -> Any:
        raise ZeroDivisionError("oops")

    saved(tmp_path, snapshot("a"))
    assert restored(tmp_path, ControlPlane(plugin=SourcePlugin("broken", ("test",), never, codec=broken))) is None
    assert "unexpected ZeroDivisionError: oops" in caplog.text
    assert "Traceback" in caplog.text


def test_a_snapshot_that_cannot_be_written_is_said_once_and_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = started(tmp_path)
    good = snapshot("a")
    nameless: Any = object()
    bad = Snapshot("", [replace(assignment, codec=nameless) for assignment in good.assignments], 1.0, 0.0)
    state._save({"": bad})
    state._save({})
    assert state.status.failures == 2
    assert caplog.text.count("its targets are not saved") == 1
    state._save({"": good})
    assert (state.status.saves, state.status.failing) == (1, "")
    end(state)


def test_a_second_daemon_goes_on_without_and_warns_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    saved(tmp_path, snapshot("a"))
    first = started(tmp_path)
    second = started(tmp_path)
    second.mailbox.put("", snapshot("b"))
    assert second.restore("") is None
    second.follow([ControlPlane("east")])
    end(second)
    assert f"another kuma-sd uses the state directory '{tmp_path}'; give one of them another" in caplog.text
    assert caplog.text.count("\n") == 1
    assert second.status.failing
    end(first)
    assert restored(tmp_path) == snapshot("a", connected=FOREVER)


@pytest.mark.parametrize("directory", ["/dev/null/state", "/proc/kuma-sd-state"])
def test_a_directory_that_cannot_be_made_is_said_once_and_the_daemon_works_without(
    caplog: pytest.LogCaptureFixture, directory: str
) -> None:
    state = started(Path(directory))
    state.mailbox.put("", snapshot("a"))
    assert state.restore("") is None
    end(state)
    assert f"cannot write into the state directory '{directory}'" in caplog.text
    assert caplog.text.count("\n") == 1


def test_a_directory_that_vanished_is_made_again(tmp_path: Path) -> None:
    directory, moved = tmp_path / "state", tmp_path / "moved"
    state = started(directory)
    state._save({"": snapshot("a")})
    directory.rename(moved)
    state._save({"": snapshot("b")})
    second = started(directory)
    assert second.status.failing, "the lock was taken anew"
    end(second)
    end(state)
    assert restored(directory) == snapshot("b", connected=FOREVER)


def test_what_could_not_be_saved_is_tried_again_and_both_are_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, threads: Threads
) -> None:
    caplog.set_level("INFO")
    directory = tmp_path / "state"
    state = started(directory, interval=0.01)
    directory.rename(tmp_path / "moved")
    directory.write_text("in the way")
    threads.start("state", state)
    state.mailbox.put("", snapshot("a"))
    eventually(lambda: state.status.failures >= 3, "saving fails again and again")
    directory.unlink()
    wait_for(state, saves=1)
    assert state.status.failing == ""
    assert caplog.text.count("trying again") == 1
    assert caplog.text.count("its targets are saved again") == 1


def test_after_a_reload_the_old_ones_state_is_gone_and_the_others_is_kept(tmp_path: Path) -> None:
    east, west = ControlPlane("east"), ControlPlane("west")
    state = started(tmp_path, east, west)
    for name in ("east", "west"):
        state._save({name: snapshot("a", control_plane=name)})
    state.follow([west, ControlPlane("north")])
    assert files_in(tmp_path) == ["west.snapshot"]
    assert state.restore("east") is None
    assert state.restore("north") is None
    assert state.restore("west") == snapshot("a", control_plane="west", connected=FOREVER)
    state._save({"east": snapshot("b", control_plane="east"), "west": snapshot("a", control_plane="west")})
    assert files_in(tmp_path) == ["west.snapshot"]
    assert state.status.saves == 2
    end(state)


def test_after_a_reload_nothing_of_the_old_address_is_saved_under_the_new_one(tmp_path: Path) -> None:
    new = ControlPlane(address="test://new")
    state = started(tmp_path)
    state._save({"": snapshot("old")})
    state.mailbox.put("", snapshot("old", "older"))
    state.follow([new])
    assert files_in(tmp_path) == []
    end(state)
    assert files_in(tmp_path) == []


def test_what_a_reload_removes_while_it_is_being_written_is_removed_afterwards(tmp_path: Path) -> None:
    state = started(tmp_path, ControlPlane("east"), ControlPlane("west"))

    class Slow(list[Any]):
        """Assignments during whose writing the settings are read again."""

        def __getitem__(self, part: Any) -> Any:
            state.follow([ControlPlane("west")])
            return super().__getitem__(part)

    east = snapshot("a", control_plane="east")
    owner = state._owners["east"]
    state._save({"east": Snapshot("east", Slow(east.assignments), 1.0, 0.0)})
    assert owner.name not in state._owners
    assert state.status.saves == 1
    assert files_in(tmp_path) == []
    end(state)


WRITER = """
import sys
from itertools import cycle
from pathlib import Path
from test_saver import ControlPlane, started, worlds
state = started(Path(sys.argv[1]))
for one in cycle(worlds()):
    state._save({"": one})
    print(state.status.saves, flush=True)
"""


def worlds() -> list[Snapshot]:
    return [snapshot(*(f"{world}-{number}" for number in range(3000))) for world in ("old", "new")]


def test_a_process_that_is_killed_while_it_writes_leaves_the_old_state_or_the_new(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assignments, moments = [world.assignments for world in worlds()], random.Random(7)
    for _ in range(8):
        command = [sys.executable, "-c", WRITER, str(tmp_path)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline()
            threading.Event().wait(moments.uniform(0, 0.03))  # the moment is what is tried
            writer.send_signal(signal.SIGKILL)
        found = restored(tmp_path)
        assert found
        assert found.assignments in assignments
        assert list((tmp_path / ".kuma-sd").iterdir()) == []
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
