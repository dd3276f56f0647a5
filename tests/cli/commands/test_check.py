from pathlib import Path

import pytest

from kuma_sd.cli.main import main


def test_good_settings_are_ok_and_nothing_is_touched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "not" / "made" / "x.yml"
    flags = ["--cp-address=a=grpc://x", "--cp-address=b=grpc://y", f"--output-file={target}"]
    assert main(["check", *flags]) == 0
    said = "OK: 2 control planes, 1 output; no settings file\nFor prometheus.yml: kuma-sd prometheus-config\n"
    assert capsys.readouterr() == (said, "")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_built_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--output=a=file_sd", f"--a-path={tmp_path}/x.txt"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("kuma-sd: output a: ")
    assert printed.err.count("\n") == 1


def test_wrong_settings_are_said_with_their_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "kuma-sd.conf"
    file.write_text("[kuma-sd]\n[file_sd]\npth = /x\n")
    assert main(["check", "-c", str(file)]) == 2
    message = f"kuma-sd: {file}:3: unknown option 'pth' in [file_sd]; did you mean 'path'?\n"
    assert capsys.readouterr() == ("", message)
