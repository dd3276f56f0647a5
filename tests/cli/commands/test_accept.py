import os
import socket
from pathlib import Path

import pytest

from kuma_sd.cli.main import main
from kuma_sd.web.application import Application, Response
from kuma_sd.web.endpoints.control import add_control


def release(name: str | None) -> list[str]:
    held = {"east": 3, "schön & gut": 0}
    return [f"{item}: releasing {held[item]} held targets" for item in ([name] if name else held)]


NAMED = "schön & gut: releasing 0 held targets\n"


@pytest.mark.parametrize(
    ("words", "printed"), [([], f"east: releasing 3 held targets\n{NAMED}"), (["schön & gut"], NAMED)]
)
def test_what_was_released_is_printed(
    words: list[str], printed: str, application: Application, capsys: pytest.CaptureFixture[str]
) -> None:
    add_control(application, release, list)
    assert main(["accept", *words]) == 0
    assert capsys.readouterr() == (printed, "")


def test_a_control_plane_that_the_daemon_does_not_know_is_an_error(
    application: Application, capsys: pytest.CaptureFixture[str]
) -> None:
    add_control(application, release, list)
    assert main(["accept", "north"]) == 1
    assert capsys.readouterr() == ("", "kuma-sd: there is no control plane or output 'north'\n")


def test_what_the_daemon_says_cannot_command_the_terminal(
    application: Application, capsys: pytest.CaptureFixture[str]
) -> None:
    application.add("POST", "/-/accept", lambda _request: Response(b"a\x1b[2Jb\n"))
    assert main(["accept"]) == 0
    assert capsys.readouterr() == ("a\\u001b[2Jb\n", "")


def test_an_answer_without_a_reason_is_an_error_with_its_status(
    application: Application, capsys: pytest.CaptureFixture[str]
) -> None:
    application.add("POST", "/-/accept", lambda _request: Response(b"", status=503))
    assert main(["accept"]) == 1
    assert capsys.readouterr() == ("", "kuma-sd: the daemon answers with status 503\n")


def test_no_daemon_is_one_line_and_status_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "control.sock"
    assert main(["accept", f"--control-socket={path}"]) == 1
    said = f"kuma-sd: no daemon listens at '{path}'; start kuma-sd, or set control-socket to where it listens"
    assert capsys.readouterr() == ("", f"{said}; no settings file\n")


def test_the_flag_of_the_settings_may_stand_before_the_name(
    tmp_path: Path, application: Application, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUMA_SD_CONTROL_SOCKET")
    add_control(application, release, list)
    assert main(["accept", "--control-socket", str(tmp_path / "control.sock"), "east"]) == 0
    assert capsys.readouterr().out == "east: releasing 3 held targets\n"


def test_without_the_setting_it_is_asked_where_the_daemon_listens_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(os.fspath(tmp_path / "control.sock"))
    assert main(["accept"]) == 1
    assert f"no daemon listens at '{tmp_path}/control.sock'" in capsys.readouterr().err


def test_two_names_are_one_too_many(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["accept", "east", "west"]) == 2
    assert capsys.readouterr().err == "kuma-sd: unexpected argument 'west'\n"
