import fcntl
import json
import os
import signal
import time
from pathlib import Path

from daemon_process import kuma_sd
from waiting import eventually

from kuma_sd.simulator import Dataplane, SimulatedControlPlane, World
from kuma_sd.testing import control_plane


def names(path: Path) -> list[str]:
    return [group["labels"]["dataplane"] for group in json.loads(path.read_bytes())] if path.exists() else []


def run_with(kuma: SimulatedControlPlane[World], path: Path) -> tuple[str, ...]:
    return "run", f"--cp-address={kuma.url}", f"--output-file={path}", f"--state-dir={path.parent}/state"


def run_once(arguments: tuple[str, ...]) -> None:
    """Run the daemon until it has published."""
    with kuma_sd(*arguments) as daemon:
        daemon.wait_for_line("published")
        assert daemon.stop() < 1.0


def test_a_restart_without_a_control_plane_begins_with_the_last_good_targets(tmp_path: Path) -> None:
    path = tmp_path / "targets.json"
    with control_plane("a", "b") as kuma:
        arguments = run_with(kuma, path)
        run_once(arguments)
        kuma.close()
        path.unlink()
        with kuma_sd(*arguments) as daemon:
            daemon.wait_for_line("restored the last good targets")
            daemon.wait_for_line('published" output=file_sd targets=2')
            assert names(path) == ["a", "b"]
            kuma.world.remove("a")
            kuma.start()
            daemon.wait_for_line("targets vanished but stay")
            kuma.world.add(Dataplane("c"))
            eventually(lambda: names(path) == ["a", "b", "c"], "what was added comes, what is missing is held")


def test_the_first_change_after_a_restart_is_published_however_slowly_the_machine_starts_it(tmp_path: Path) -> None:
    path = tmp_path / "targets.json"
    with control_plane("a", "b") as kuma:
        arguments = run_with(kuma, path)
        run_once(arguments)
        with kuma_sd(*arguments) as daemon:
            daemon.signal(signal.SIGSTOP)
            kuma.world.add(Dataplane("c"))
            daemon.signal(signal.SIGCONT)
            eventually(lambda: names(path) == ["a", "b", "c"], "the change is published")


def test_a_killed_daemon_leaves_file_and_state(tmp_path: Path) -> None:
    path = tmp_path / "targets.json"
    with control_plane("a", "b") as kuma:
        arguments = run_with(kuma, path)
        with kuma_sd(*arguments) as daemon:
            daemon.wait_for_line("published")
            eventually(lambda: list((tmp_path / "state").glob("*")), "the state is saved")
            daemon.signal(signal.SIGKILL)
            daemon.wait()
        assert names(path) == ["a", "b"]
        with kuma_sd(*arguments) as daemon:
            daemon.wait_for_line("connected")
            assert daemon.stop() < 1.0


def test_a_state_that_was_busy_for_one_life_takes_nothing_that_was_published_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "targets.json"
    with control_plane("a", "b") as kuma:
        arguments = run_with(kuma, path)
        run_once(arguments)
        with (tmp_path / "state/kuma-sd.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with kuma_sd(*arguments) as daemon:
                daemon.wait_for_line("connected")
                kuma.world.add(Dataplane("c"))
                eventually(lambda: names(path) == ["a", "b", "c"], "the change is published")
                # As if the daemon had run for longer than it did.
                later = time.time() + 60
                os.utime(path, (later, later))
                daemon.stop()
        kuma.close()
        with kuma_sd(*arguments) as daemon:
            daemon.wait_for_line("connection failed")
            assert names(path) == ["a", "b", "c"]


def test_without_a_state_directory_it_works_and_warns_once(tmp_path: Path) -> None:
    path = tmp_path / "targets.json"
    with control_plane("a") as kuma:
        arguments = ("run", f"--cp-address={kuma.url}", f"--output-file={path}", "--state-dir=/dev/null/state")
        with kuma_sd(*arguments) as daemon:
            daemon.wait_for_line("published")
            daemon.stop()
    assert daemon.output.count("going on without") == 1
    assert names(path) == ["a"]


def test_another_address_after_a_restart_keeps_the_targets_until_it_answers(tmp_path: Path) -> None:
    path = tmp_path / "targets.json"
    state = f"--state-dir={tmp_path}/state"
    with (
        control_plane("a") as kuma,
        kuma_sd("run", f"--cp-address={kuma.url}", f"--output-file={path}", state) as first,
    ):
        first.wait_for_line("published")
        first.stop()
    path.unlink()
    with (
        control_plane() as empty,
        kuma_sd("run", f"--cp-address={empty.url}", f"--output-file={path}", state) as second,
    ):
        second.wait_for_line("targets vanished but stay")
        eventually(lambda: names(path) == ["a"], "the targets of the old address stay")
        empty.world.add(Dataplane("b"))
        eventually(lambda: names(path) == ["b"], "those of the new one replace them")
