import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from daemon_process import kuma_sd
from os_reasons import CONNECTION_REFUSED, NOT_A_DIRECTORY
from processes import Process
from waiting import eventually

from kuma_sd.simulator import Dataplane, SimulatedControlPlane, World
from kuma_sd.testing import control_plane


@pytest.fixture
def kuma() -> Iterator[SimulatedControlPlane[World]]:
    with control_plane("a", "b") as running:
        yield running


def version(path: Path) -> tuple[int, int, bytes]:
    """Return what differs after any write; that it was read, which its access time tells, is no matter."""
    stat = path.stat()
    return stat.st_ino, stat.st_mtime_ns, path.read_bytes()


def names(path: Path) -> list[str]:
    if not path.exists():
        return []
    parsed: list[dict[str, Any]] = (yaml.safe_load if path.suffix == ".yml" else json.loads)(path.read_bytes())
    return [group["labels"]["dataplane"] for group in parsed]


@pytest.mark.parametrize("name", ["targets.json", "targets.yml"])
def test_a_change_of_the_control_plane_reaches_the_file(
    kuma: SimulatedControlPlane[World], tmp_path: Path, name: str
) -> None:
    path = tmp_path / "made" / name
    with kuma_sd("run", f"--cp-address={kuma.url}", f"--output-file={path}", "--guard-hold=0") as daemon:
        daemon.wait_for_line('published" output=file_sd targets=2')
        assert names(path) == ["a", "b"]
        kuma.world.add(Dataplane("c"))
        kuma.world.remove("a")
        eventually(lambda: names(path) == ["b", "c"], "the file holds b and c")
        assert daemon.stop() < 1.0
    assert names(path) == ["b", "c"]


def test_json_and_yaml_are_written_at_once_from_a_file_of_settings(
    kuma: SimulatedControlPlane[World], tmp_path: Path
) -> None:
    (tmp_path / "kuma-sd.conf").write_text(
        f"[kuma-sd]\ncp-address = {kuma.url}\noutput = json=file_sd yaml=file_sd\n"
        f"[json]\npath = {tmp_path}/targets.json\n[yaml]\npath = {tmp_path}/targets.yml\n"
    )
    with kuma_sd("run", "-c", tmp_path / "kuma-sd.conf") as daemon:
        daemon.wait_for_line("published")
        daemon.wait_for_line("published")
    assert names(tmp_path / "targets.json") == names(tmp_path / "targets.yml") == ["a", "b"]


def test_a_restart_of_the_control_plane_takes_no_target_away(
    kuma: SimulatedControlPlane[World], tmp_path: Path
) -> None:
    path = tmp_path / "targets.json"
    with kuma_sd("run", f"--cp-address={kuma.url}", f"--output-file={path}", "--guard-hold=30s") as daemon:
        daemon.wait_for_line("published")
        kuma.close()
        daemon.wait_for_line("trying again, targets stay as they are")
        kuma.world.clear()
        kuma.start()
        daemon.wait_for_line(" targets=2 stay_for=30s ")
        kuma.world.add(Dataplane("a", service="other"))
        eventually(lambda: b"other" in path.read_bytes(), "the change of a is published")
        assert names(path) == ["a", "b"]


def test_what_is_held_is_let_go_by_kuma_sd_accept(kuma: SimulatedControlPlane[World], tmp_path: Path) -> None:
    path, control = tmp_path / "targets.json", f"--control-socket={tmp_path}/control.sock"
    with kuma_sd("run", f"--cp-address={kuma.url}", f"--output-file={path}", "--guard-hold=forever", control) as daemon:
        daemon.wait_for_line("published")
        kuma.world.remove("a")
        daemon.wait_for_line("targets vanished but stay")
        assert names(path) == ["a", "b"]
        with kuma_sd("accept", control) as accept:
            assert accept.wait() == 0
        assert accept.lines == [f"{kuma.url}: releasing 1 held target"]
        eventually(lambda: names(path) == ["b"], "the file holds what the control plane has")
        with kuma_sd("accept", "east", control) as accept:
            assert accept.wait() == 1
        assert accept.lines == ["kuma-sd: there is no control plane or output 'east'"]
    with kuma_sd("accept", control) as accept:
        assert accept.wait() == 1
    assert "no daemon listens at" in accept.output


def test_a_control_plane_that_is_down_is_said_once_and_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "targets.json"
    with control_plane("a") as kuma:
        kuma.close()
        with kuma_sd("run", f"--cp-address={kuma.url}", f"--output-file={path}") as daemon:
            daemon.wait_for_line(CONNECTION_REFUSED)
            assert not path.exists()
            kuma.start()
            daemon.wait_for_line('published" output=file_sd targets=1')
            daemon.stop()
        assert daemon.output.count(CONNECTION_REFUSED) == 1


def test_two_control_planes_are_united(kuma: SimulatedControlPlane[World], tmp_path: Path) -> None:
    path = tmp_path / "targets.json"
    with control_plane("a", "c") as other:
        addresses = (f"--cp-address=east={kuma.url}", f"--cp-address=west={other.url}")
        with kuma_sd("run", *addresses, f"--output-file={path}") as daemon:
            daemon.wait_for_line('published" output=file_sd targets=4')
    groups = json.loads(path.read_bytes())
    assert [(group["labels"]["control_plane"], group["labels"]["dataplane"]) for group in groups] == [
        ("east", "a"),
        ("east", "b"),
        ("west", "a"),
        ("west", "c"),
    ]


class TestOnce:
    def test_publishes_a_complete_union_and_ends(self, kuma: SimulatedControlPlane[World], tmp_path: Path) -> None:
        path = tmp_path / "targets.json"
        with kuma_sd("run", "--once", f"--cp-address={kuma.url}", f"--output-file={path}") as program:
            assert program.wait() == 0
        assert names(path) == ["a", "b"]

    def test_fails_with_the_file_untouched_when_a_control_plane_is_missing(
        self, kuma: SimulatedControlPlane[World], tmp_path: Path
    ) -> None:
        path = tmp_path / "targets.json"
        path.write_text("[]")
        before = version(path)
        with socket.create_server(("127.0.0.1", 0)) as closed:
            down = f"grpc://127.0.0.1:{closed.getsockname()[1]}"
        addresses = (f"--cp-address=up={kuma.url}", f"--cp-address=down={down}")
        with kuma_sd("run", "--once", "--once-timeout=3s", *addresses, f"--output-file={path}") as program:
            assert program.wait() == 1
        assert "kuma-sd: nothing was published after 3s: control plane down: v1 HTTP at" in program.lines[-1]
        assert version(path) == before

    def test_fails_when_there_is_no_target_unless_that_is_allowed(self, tmp_path: Path) -> None:
        path = tmp_path / "targets.json"
        with control_plane() as kuma:
            arguments = ("run", "--once", f"--cp-address={kuma.url}", f"--output-file={path}")
            with kuma_sd(*arguments, "--once-timeout=3s") as program:
                assert program.wait() == 1
            assert program.lines[-1].endswith("there is no target; if that is right, use --allow-empty")
            assert not path.exists()
            with kuma_sd(*arguments, "--allow-empty") as program:
                assert program.wait() == 0
        assert path.read_bytes() == b"[]\n"

    def test_fails_with_the_file_untouched_when_too_many_would_vanish_unless_that_is_accepted(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "targets.json"
        with control_plane("a", "b", "c") as kuma:
            arguments = ("run", "--once", f"--cp-address={kuma.url}", f"--output-file={path}")
            with kuma_sd(*arguments) as program:
                assert program.wait() == 0
            kuma.world.remove("a", "b")
            before = version(path)
            with kuma_sd(*arguments) as program:
                assert program.wait() == 1
            assert "2 of 3 targets would vanish from output file_sd, more than guard-max-drop" in program.lines[-1]
            assert version(path) == before
            with kuma_sd(*arguments, "--accept") as program:
                assert program.wait() == 0
        assert names(path) == ["c"]

    @pytest.mark.skipif(os.geteuid() != 0, reason="giving files to others needs root")
    def test_is_not_kept_from_publishing_by_a_file_of_another_user(
        self, kuma: SimulatedControlPlane[World], tmp_path: Path
    ) -> None:
        path = tmp_path / "targets.json"
        groups = [
            {"targets": ["192.0.2.1:1"], "labels": {"mesh": "m", "dataplane": str(number)}} for number in range(9)
        ]
        path.write_text(json.dumps(groups))
        tmp_path.chmod(0o1777)
        os.chown(path, 65534, 65534)
        with kuma_sd("run", "--once", f"--cp-address={kuma.url}", f"--output-file={path}") as program:
            assert program.wait() == 0
        assert len([line for line in program.lines if "a published file is not believed" in line]) == 1
        assert names(path) == ["a", "b"]
        assert path.stat().st_uid == 0


class TestWrongSettings:
    def test_are_one_line_and_exit_status_2(self, tmp_path: Path) -> None:
        with kuma_sd("run", "--min-interval=soon", f"--output-file={tmp_path}/targets.json") as program:
            assert program.wait() == 2
        assert len(program.lines) == 1
        assert "soon" in program.lines[0]

    def test_a_directory_that_cannot_be_written_is_said_by_name(self) -> None:
        with kuma_sd("run", "--cp-address=grpc://127.0.0.1:1", "--output-file=/dev/null/x/targets.json") as program:
            assert program.wait() == 1
        assert program.lines == [
            f"kuma-sd: output file_sd: cannot write into the directory '/dev/null/x': {NOT_A_DIRECTORY}"
        ]

    def test_a_second_daemon_on_the_same_file_is_refused(
        self, kuma: SimulatedControlPlane[World], tmp_path: Path
    ) -> None:
        arguments = ("run", f"--cp-address={kuma.url}", f"--output-file={tmp_path}/targets.json")
        with kuma_sd(*arguments) as first:
            first.wait_for_line("published")
            with kuma_sd(*arguments) as second:
                assert second.wait() == 1
        assert "another kuma-sd writes" in second.lines[-1]


BLOCKING = """
import threading
from kuma_sd import Output, OutputPlugin, hookimpl

class Blocking(Output):
    def publish(self, publication):
        print("blocking", flush=True)
        threading.Event().wait()

@hookimpl
def kuma_sd_output_plugin():
    return OutputPlugin(open=lambda options, context: Blocking())
"""


class TestSigterm:
    """Ends the daemon in under a second, from any state, with exit status 0."""

    def test_while_it_connects(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            address = f"grpc://127.0.0.1:{silent.getsockname()[1]}"
            with kuma_sd("run", f"--cp-address={address}", f"--output-file={tmp_path}/targets.json") as daemon:
                silent.settimeout(10)
                peer, _ = silent.accept()
                with peer:
                    assert daemon.stop() < 1.0

    def test_while_it_waits_to_try_again(self, tmp_path: Path) -> None:
        with kuma_sd("run", "--cp-address=grpc://127.0.0.1:1", f"--output-file={tmp_path}/targets.json") as daemon:
            daemon.wait_for_line("trying again")
            assert daemon.stop() < 1.0

    def test_while_it_streams_and_writes(self, kuma: SimulatedControlPlane[World], tmp_path: Path) -> None:
        kuma.world.replace(Dataplane(f"backend-{number}") for number in range(5000))
        with kuma_sd("run", f"--cp-address={kuma.url}", f"--output-file={tmp_path}/targets.json") as daemon:
            daemon.wait_for_line("connected")
            assert daemon.stop() < 1.0

    def test_while_an_output_blocks(self, kuma: SimulatedControlPlane[World], tmp_path: Path) -> None:
        package = tmp_path / "blocking-1.0.dist-info"
        package.mkdir()
        (package / "METADATA").write_text("Metadata-Version: 2.1\nName: blocking\nVersion: 1.0\n")
        (package / "entry_points.txt").write_text("[kuma_sd.plugins]\noutput.blocking = blocking_output\n")
        (tmp_path / "blocking_output.py").write_text(BLOCKING)
        path = tmp_path / "targets.json"
        outputs = ("--output=blocking", "--output=file_sd", f"--file-sd-path={path}")
        with kuma_sd("run", f"--cp-address={kuma.url}", *outputs, PYTHONPATH=str(tmp_path)) as daemon:
            daemon.wait_for_line("blocking")
            eventually(lambda: names(path) == ["a", "b"], "the other output is not delayed")
            assert daemon.stop() < 1.0
        assert 'its last write may be lost" thread="output blocking"' in daemon.output

    def test_by_ctrl_c_too(self, kuma: SimulatedControlPlane[World], tmp_path: Path) -> None:
        with kuma_sd("run", f"--cp-address={kuma.url}", f"--output-file={tmp_path}/targets.json") as daemon:
            daemon.wait_for_line("published")
            daemon.signal(signal.SIGINT)
            assert daemon.wait() == 0


def test_an_unexpected_exception_ends_the_daemon_with_a_traceback(
    kuma: SimulatedControlPlane[World], tmp_path: Path
) -> None:
    code = (
        "import sys; from kuma_sd.pipeline.pipeline import Pipeline; from kuma_sd.cli.main import main\n"
        "def step(self, new, now): raise RuntimeError('a bug of ours')\n"
        "Pipeline.step = step; sys.exit(main(sys.argv[1:]))"
    )
    arguments = (f"--cp-address={kuma.url}", f"--output-file={tmp_path}/targets.json", "--web-listen-address=")
    broken = Process(sys.executable, "-c", code, "run", *arguments)
    try:
        assert broken.wait() == 1
    finally:
        broken.kill()
    assert "Traceback" in broken.output
    assert "RuntimeError: a bug of ours" in broken.output
