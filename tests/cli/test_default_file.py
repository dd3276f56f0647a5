"""Commands that look at settings read the service's file when no other is named, and say which file they read."""

from pathlib import Path

import pytest

from kuma_sd.cli.main import main

Printed = pytest.CaptureFixture[str]


@pytest.fixture
def service_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be a machine on which Debian's package is installed."""
    file = tmp_path / "kuma-sd.conf"
    file.write_text("[kuma-sd]\ncp-address = a=grpc://x b=grpc://y\n")
    monkeypatch.setattr("kuma_sd.cli.main.DEFAULT_FILE", str(file))
    return file


def test_check_reads_the_services_file(service_file: Path, capsys: Printed) -> None:
    assert main(["check"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"OK: 2 control planes, 1 output; settings from {service_file}",
        "For prometheus.yml: kuma-sd prometheus-config",
    ]


@pytest.mark.usefixtures("service_file")
def test_another_file_takes_its_place_and_is_named_in_what_to_do_next(tmp_path: Path, capsys: Printed) -> None:
    other = tmp_path / "my new.conf"
    other.touch()
    assert main(["check", "-c", str(other)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"OK: 1 control plane, 1 output; settings from {other}",
        f"For prometheus.yml: kuma-sd prometheus-config -c '{other}'",
    ]


@pytest.mark.usefixtures("service_file")
def test_a_variable_may_name_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> None:
    monkeypatch.setenv("KUMA_SD_CONFIG", str(tmp_path / "other.conf"))
    (tmp_path / "other.conf").touch()
    assert main(["check"]) == 0
    assert f"settings from {tmp_path}/other.conf" in capsys.readouterr().out


def test_flags_override_the_services_file(service_file: Path, capsys: Printed) -> None:
    assert main(["config", "--cp-address=grpc://z"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"# Settings from {service_file}.\n")
    assert "cp-address = grpc://z" in text


def test_a_mistake_in_the_services_file_is_found(service_file: Path, capsys: Printed) -> None:
    service_file.write_text("[kuma-sd]\nstate_dir = /x\n")
    assert main(["check"]) == 2
    assert capsys.readouterr().err.startswith(f"kuma-sd: {service_file}:2: unknown option 'state_dir'")


def test_run_reads_a_file_only_if_one_is_named(service_file: Path, tmp_path: Path, capsys: Printed) -> None:
    service_file.write_text("nonsense")
    flags = ["--once", "--once-timeout=0", "--cp-address=grpc://127.0.0.1:1", f"--output-file={tmp_path}/x.json"]
    assert main(["run", *flags]) == 1
    assert str(service_file) not in capsys.readouterr().err


def test_without_any_file_that_is_said(monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> None:
    monkeypatch.setattr("kuma_sd.cli.main.DEFAULT_FILE", "/nowhere/kuma-sd.conf")
    assert main(["check"]) == 0
    assert "; no settings file\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command", [["status"], ["explain", "web"], ["diff"], ["diff", "--exit-code"], ["accept"]], ids=str
)
def test_when_no_daemon_answers_the_file_that_says_where_it_listens_is_named(
    service_file: Path, tmp_path: Path, capsys: Printed, command: list[str]
) -> None:
    with service_file.open("a") as file:
        file.write(f"control-socket = {tmp_path}/none.sock\n")
    assert main(command) > 0
    error = capsys.readouterr().err
    assert error.startswith(f"kuma-sd: no daemon listens at '{tmp_path}/none.sock'; ")
    assert error.endswith(f"; settings from {service_file}\n")
