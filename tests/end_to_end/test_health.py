"""What machines ask a daemon that runs in a process of its own."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon_process import kuma_sd
from mads_streams import mads_streams, silent
from own_port import own_port
from waiting import eventually

from kuma_sd.simulator import SimulatedControlPlane, World
from kuma_sd.testing import control_plane
from kuma_sd.web.client import ask

NO_WEB = "--web-listen-address="


@pytest.fixture
def kuma() -> Iterator[SimulatedControlPlane[World]]:
    with control_plane("a", "b") as running:
        yield running


def test_health_readiness_metrics_and_status_are_served_over_the_control_socket(
    kuma: SimulatedControlPlane[World], tmp_path: Path
) -> None:
    path, control = tmp_path / "targets.json", tmp_path / "control.sock"
    (tmp_path / "kuma-sd.conf").write_text(f"[kuma-sd]\ncp-address = {kuma.url}\n[file_sd]\npath = {path}\n")
    flags = ("-c", tmp_path / "kuma-sd.conf", f"--control-socket={control}", NO_WEB)
    with kuma_sd("run", *flags) as daemon:
        daemon.wait_for_line("published")
        assert ask(control, "GET", "/-/healthy") == (200, "healthy\n")
        assert ask(control, "GET", "/-/ready") == (200, "ready\n")
        status, metrics = ask(control, "GET", "/metrics")
        assert status == 200
        assert 'kuma_sd_output_groups{output="file_sd"} 2.0\n' in metrics
        assert ask(control, "GET", "/metrics?x=1")[0] == 400
        source = json.loads(ask(control, "GET", "/api/status")[1])["control_planes"][0]["source"]
        assert (source["connected"], source["protocol"], source["responses"]) == (True, "v1 gRPC", 1)
        assert source["received"] > 100
        (tmp_path / "kuma-sd.conf").write_text("[kuma-sd]\nno-such-key = 1\n")
        daemon.wait_for_line("the settings were not reloaded")
        eventually(lambda: "successful 0.0\n" in ask(control, "GET", "/metrics")[1], "the failed reload is told")


def test_a_daemon_that_cannot_publish_is_healthy_but_not_ready_and_says_why(tmp_path: Path) -> None:
    control = tmp_path / "control.sock"
    flags = ("--cp-address=grpc://127.0.0.1:1", f"--output-file={tmp_path}/targets.json", f"--control-socket={control}")
    with kuma_sd("run", *flags, NO_WEB) as daemon:
        daemon.wait_for_line("trying again, targets stay")
        assert ask(control, "GET", "/-/healthy") == (200, "healthy\n")
        status, text = ask(control, "GET", "/-/ready")
        assert status == 503
        assert text.startswith("not ready\noutput file_sd: nothing to publish yet: control plane grpc://127.0.0.1:1: ")
        assert "refused" in text
        checked = [
            subprocess.run([sys.executable, "-m", "kuma_sd", "status", *flags, *more], capture_output=True, check=False)
            for more in ([], ["--ready"])
        ]
        assert [check.returncode for check in checked] == [0, 1]
        assert all(b"not ready" in check.stdout for check in checked)


def test_the_status_says_that_an_answer_is_awaited_and_not_what_failed_before(tmp_path: Path) -> None:
    control, port = tmp_path / "control.sock", own_port()
    flags = (f"--output-file={tmp_path}/targets.json", f"--control-socket={control}", NO_WEB)
    with kuma_sd("run", f"--cp-address=grpc://127.0.0.1:{port}", "--transport=grpc", *flags) as daemon:
        daemon.wait_for_line("trying again, targets stay")
        with mads_streams(silent, port):

            def shown() -> str:
                command = [sys.executable, "-m", "kuma_sd", "status", *flags]
                return subprocess.run(command, capture_output=True, check=False, text=True).stdout

            eventually(lambda: "connected, no answer for" in shown(), "the silence is shown")
            assert "refused" not in shown()
            # "no answer for" until the time for one is over, then "no answer within".
            assert "no answer" in ask(control, "GET", "/-/ready")[1]


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_what_cannot_be_understood_is_counted(transport: str, tmp_path: Path) -> None:
    with (
        control_plane("a") as kuma,
        kuma_sd(
            "run",
            *(f"--cp-address={kuma.url}", f"--transport={transport}", NO_WEB),
            *(f"--output-file={tmp_path}/targets.json", f"--control-socket={tmp_path}/control.sock"),
        ) as daemon,
    ):
        daemon.wait_for_line("published")
        (plane,) = json.loads(ask(tmp_path / "control.sock", "GET", "/api/status")[1])["control_planes"]
        source, connection = plane["source"], plane["connection"]
        assert (connection["unreadable"], source["parse_errors"], connection["snapshots"]) == (0, 0, 1)
        assert source["received"] > 100
        assert source["since"] <= source["last_response"]


def test_status_is_coloured_on_a_terminal(kuma: SimulatedControlPlane[World], tmp_path: Path) -> None:
    control = tmp_path / "control.sock"
    flags = (f"--cp-address={kuma.url}", f"--output-file={tmp_path}/targets.json", f"--control-socket={control}")
    with kuma_sd("run", *flags, NO_WEB) as daemon:
        daemon.wait_for_line("published")
        terminal, theirs = pty.openpty()
        try:
            environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | {"TERM": "xterm"}
            command = [sys.executable, "-m", "kuma_sd", "status", *flags]
            subprocess.run(command, stdout=theirs, env=environment, check=True)
            assert b"\x1b[32mhealthy\x1b[0m" in os.read(terminal, 2**16)
        finally:
            os.close(terminal)
            os.close(theirs)
