"""The real daemon in a plugin author's tests."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kuma_sd.simulator import Dataplane, SimulatedControlPlane, World
from kuma_sd.testing import RunningDaemon, control_plane, daemon, kuma_control_plane, kuma_sd_daemon

__all__ = ["kuma_control_plane", "kuma_sd_daemon"]  # fixtures


def test_it_runs_while_the_block_does(tmp_path: Path) -> None:
    targets = tmp_path / "targets.json"
    with (
        control_plane("backend-01") as kuma,
        daemon(tmp_path, f"--cp-address={kuma.url}", f"--file-sd-path={targets}") as running,
    ):
        assert running.wait_for("published", output="file_sd")["targets"] == 1
        assert running.process.poll() is None
    assert running.process.returncode == 0
    assert running.wait_for("stopped")


def test_a_wrong_setting_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match=r"the daemon ended before .*(?s:.)*unknown output|no output 'none'"),
        daemon(tmp_path, "--output=none") as running,
    ):
        running.wait_for("published")


def test_a_failure_of_the_test_ends_the_daemon_and_stays_itself(tmp_path: Path) -> None:
    with control_plane() as kuma, pytest.raises(ZeroDivisionError):  # noqa: SIM117 (the daemon is what fails)
        with daemon(tmp_path, f"--cp-address={kuma.url}", f"--file-sd-path={tmp_path}/a.json") as running:
            assert 1 / 0
    assert running.process.returncode != 0


def test_the_fixture_follows_the_control_plane_of_the_test(
    kuma_control_plane: SimulatedControlPlane[World], kuma_sd_daemon: Callable[..., RunningDaemon], tmp_path: Path
) -> None:
    kuma_control_plane.world.add(Dataplane("backend-01"), Dataplane("backend-02"))
    for name in ("one.json", "two.json"):
        running = kuma_sd_daemon(f"--file-sd-path={tmp_path / name}")
        running.wait_for("published", output="file_sd", targets=2)
        assert len(json.loads((tmp_path / name).read_bytes())) == 2
