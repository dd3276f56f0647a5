"""What a unit, a script or a container of the Go program says to kuma-prometheus-sd."""

import argparse
import os
from pathlib import Path
from typing import Any

import pytest

import kuma_sd.cli.commands.run
from kuma_sd import __version__
from kuma_sd.cli.main import main_like_go
from kuma_sd.settings.go_program import command_first
from kuma_sd.settings.model import Settings


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Remember the settings of every ``run`` instead of running."""
    seen: list[Settings] = []

    def execute(_arguments: argparse.Namespace, settings: Settings | None) -> int:
        assert settings is not None
        seen.append(settings)
        return 0

    monkeypatch.setattr(kuma_sd.cli.commands.run, "execute", execute)
    for name in [name for name in os.environ if name.startswith("KUMA_")]:
        monkeypatch.delenv(name)
    return seen


def test_the_default_file_is_in_the_working_directory(ran: list[Settings]) -> None:
    assert main_like_go(["run"]) == 0
    assert ran[0].outputs[0].options.path == Path("kuma.file_sd.json")
    assert str(ran[0].control_planes[0].address) == "grpc://localhost:5676"


def test_flags_may_stand_before_the_command(ran: list[Settings]) -> None:
    words = "--log-level debug run --cp-address grpc://x:5676 --name=me --output-file /run/x.json --api-version v1"
    assert main_like_go(words.split()) == 0
    (plane,), (output,) = ran[0].control_planes, ran[0].outputs
    assert ran[0].core.log_level == "debug"
    assert (str(plane.address), plane.options.name, plane.options.api_version) == ("grpc://x:5676", "me", "v1")
    assert output.options.path == Path("/run/x.json")


@pytest.mark.parametrize("level", ["off", "info", "debug"])
def test_its_log_levels_are_known(ran: list[Settings], level: str) -> None:
    assert main_like_go([f"--log-level={level}", "run"]) == 0
    assert ran[0].core.log_level == level


def test_the_environment_beats_flags(ran: list[Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUMA_MONITORING_ASSIGNMENT_CLIENT_URL", "grpc://env:5676")
    monkeypatch.setenv("KUMA_PROMETHEUS_OUTPUT_FILE", "/env.json")
    monkeypatch.setenv("KUMA_MONITORING_ASSIGNMENT_CLIENT_NAME", "")
    assert main_like_go(["run", "--cp-address=grpc://flag:5676", "--output-file=/flag.json", "--name=flag"]) == 0
    (plane,), (output,) = ran[0].control_planes, ran[0].outputs
    assert (str(plane.address), plane.options.name) == ("grpc://env:5676", "flag")
    assert output.options.path == Path("/env.json")


def test_flags_of_its_log_files_are_accepted_with_one_warning(
    ran: list[Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main_like_go(["--log-output-path", "/var/log/x", "--log-max-size=1", "run", "--log-max-age", "3"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert "level=warn" in line
    assert 'msg="--log-output-path, --log-max-size, --log-max-age: ignored, since the log goes to stderr"' in line
    assert len(ran) == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run", "--name", "x"], ["run", "--name", "x"]),
        (["--log-level", "debug", "run", "--name", "x"], ["run", "--log-level", "debug", "--name", "x"]),
        (["--log-level=debug", "--log-max-age", "3", "run"], ["run", "--log-level=debug", "--log-max-age", "3"]),
        (["--log-level", "debug", "version"], ["version"]),
        (["--help"], ["--help"]),
        ([], []),
    ],
)
def test_the_command_is_put_first(words: list[str], expected: list[str]) -> None:
    assert command_first(words) == expected


@pytest.mark.parametrize(
    ("words", "status", "out", "err"),
    [
        (["version"], 0, f"kuma-sd {__version__}\n", ""),
        (["--log-level=off", "version"], 0, f"kuma-sd {__version__}\n", ""),
        (["rnu"], 2, "", "kuma-prometheus-sd: unknown command 'rnu'; did you mean 'run'?\n"),
        (["run", "--nam=x"], 2, "", "kuma-prometheus-sd: unknown flag --nam; did you mean --name?\n"),
    ],
)
def test_it_answers_as_itself(
    capsys: pytest.CaptureFixture[str], words: list[str], status: int, out: str, err: str
) -> None:
    assert main_like_go(words) == status
    assert capsys.readouterr() == (out, err)


def test_it_has_help_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main_like_go(["help"]) == 0
    assert "usage: kuma-prometheus-sd COMMAND" in capsys.readouterr().out
    assert main_like_go(["run", "--help"]) == 0
    text: Any = " ".join(capsys.readouterr().out.split())
    assert "usage: kuma-prometheus-sd run" in text
    assert "(default: kuma.file_sd.json; KUMA_SD_FILE_SD_PATH)" in text
