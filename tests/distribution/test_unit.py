"""The systemd unit is understood by systemd, and fits the daemon's defaults."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kuma_sd.plugin.manager import Plugins
from kuma_sd.settings.default_control_socket import default_control_socket
from kuma_sd.settings.loader import load

ETC = Path(__file__).parents[2] / "etc"
UNIT = ETC / "kuma-sd.service"


def settings_of_unit() -> dict[str, str]:
    """Return the unit's assignments; no name stands in it twice, but for the filter, whose lines add to each other."""
    pairs = [line.split("=", 1) for line in UNIT.read_text().splitlines() if "=" in line and line[0] not in "#["]
    pairs = [pair for pair in pairs if pair[0] != "SystemCallFilter"]
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs Debian's package systemd")
def test_systemd_understands_every_line(tmp_path: Path) -> None:
    installed = tmp_path / UNIT.name
    installed.write_text(UNIT.read_text().replace("ExecStart=kuma-sd", f"ExecStart={sys.executable}"))
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(installed)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs Debian's package systemd")
def test_it_may_do_no_more_than_it_needs(tmp_path: Path) -> None:
    installed = tmp_path / UNIT.name
    installed.write_text(UNIT.read_text())
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=14", str(installed)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_it_cannot_take_the_memory_of_others() -> None:
    assert {"MemoryHigh", "MemoryMax"} <= settings_of_unit().keys()


@pytest.mark.skipif(not shutil.which("systemd-sysusers"), reason="needs Debian's package systemd")
def test_the_user_that_it_runs_as_is_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    command = ["systemd-sysusers", f"--root={tmp_path}", str(ETC / "kuma-sd.sysusers")]
    subprocess.run(command, check=True, capture_output=True)
    users = [line.split(":")[0] for line in (tmp_path / "etc/passwd").read_text().splitlines()]
    groups = [line.split(":")[0] for line in (tmp_path / "etc/group").read_text().splitlines()]
    unit = settings_of_unit()
    assert (users, groups) == ([unit["User"]], [unit["Group"]])


def test_its_directories_are_those_of_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    unit = settings_of_unit()
    directories = [f"/run/{name}" for name in unit["RuntimeDirectory"].split()]
    settings = load([], {}, Plugins())
    assert str(settings.core.state_dir) == f"/var/lib/{unit['StateDirectory']}"
    assert str(settings.outputs[0].options.path.parent).removeprefix("/var") in directories
    monkeypatch.setattr("os.geteuid", lambda: 0)
    roots = default_control_socket({})
    for order in (directories, directories[::-1]):
        assert default_control_socket({"RUNTIME_DIRECTORY": ":".join(order)}) == roots


def test_stopping_it_does_not_take_the_targets_away() -> None:
    assert settings_of_unit()["RuntimeDirectoryPreserve"] == "yes"


def test_it_is_told_how_the_daemon_is() -> None:
    unit = settings_of_unit()
    assert unit["Type"] == "notify"
    assert unit["WatchdogSec"]
    assert "-HUP" in unit["ExecReload"]
