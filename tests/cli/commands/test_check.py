import shlex
from pathlib import Path

import pytest

from kuma_sd.cli.main import main


def test_good_settings_are_ok_and_nothing_is_touched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "not" / "made" / "x.yml"
    flags = ["--cp-address=a=grpc://x", "--cp-address=b=grpc://y", f"--output-file={target}"]
    assert main(["check", *flags]) == 0
    said = "OK: 2 control planes, 1 output; no settings file\nFor prometheus.yml: kuma-sd prometheus-config "
    assert capsys.readouterr() == (f"{said}'--cp-address=a=grpc://x b=grpc://y' --output-file={target}\n", "")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_built_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--output=a=file_sd", f"--a-path={tmp_path}/x.txt"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("kuma-sd: flag --a-path: output a: ")
    assert printed.err.count("\n") == 1


def test_wrong_settings_are_said_with_their_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "kuma-sd.conf"
    file.write_text("[kuma-sd]\n[file_sd]\npth = /x\n")
    assert main(["check", "-c", str(file)]) == 2
    message = f"kuma-sd: {file}:3: unknown option 'pth' in [file_sd]; did you mean 'path'?\n"
    assert capsys.readouterr() == ("", message)


Printed = pytest.CaptureFixture[str]


def test_what_cannot_be_built_is_said_with_its_place_beside_wrong_values(tmp_path: Path, capsys: Printed) -> None:
    file = tmp_path / "kuma-sd.conf"
    file.write_text(
        "[kuma-sd]\n"  # 1
        "guard-hold = soon\n"
        "cp-address = http://a:0\n"
        "output = file_sd other=file_sd\n"
        "tls-cert-file = /dev/null\n"  # 5
        "transform = labels\n"
        "[file_sd]\n"
        "path = x.txt\n"
        "[other]\n"
        "mode = 0999\n"  # 10
    )
    assert main(["check", "-c", str(file)]) == 2
    expected = [
        "2: guard-hold in [kuma-sd]: 'soon' is not a duration",
        "3: source http://a:0: the address has the port 0, at which nothing can listen",
        "5: tls-cert-file '/dev/null' cannot be read: Not a regular file",
        "6: transform labels: there is nothing to change; set add, rename or remove",
        "8: output file_sd: the name 'x.txt' shows no format",
        "10: mode in [other]: '0999' is not a file mode",
    ]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(expected)
    for mistake in expected:
        assert any(line.startswith(f"kuma-sd: {file}:{mistake}") for line in lines), mistake


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("cp-address = a:5676", "2: 'a:5676' has no scheme; did you mean 'grpc://a:5676'?"),
        ("output = Yaml=file_sd", "2: 'Yaml=file_sd' has no valid name"),
        ("transform = labels labels", "2: 'labels' is in this list twice"),
    ],
)
def test_a_list_that_cannot_be_read_hides_no_other_mistake(
    tmp_path: Path, capsys: Printed, line: str, said: str
) -> None:
    file = tmp_path / "kuma-sd.conf"
    file.write_text(f"[kuma-sd]\n{line}\nguard-hold = soon\n[web]\nlisten-address = x\n")
    assert main(["check", "-c", str(file)]) == 2
    first, second, third = sorted(capsys.readouterr().err.splitlines())
    assert first.startswith(f"kuma-sd: {file}:{said}")
    assert second.startswith(f"kuma-sd: {file}:3: guard-hold in [kuma-sd]: 'soon' is not")
    assert third.startswith(f"kuma-sd: {file}:5: listen-address in [web]: ")


def test_paths_at_which_something_else_or_nothing_is_are_refused(tmp_path: Path, capsys: Printed) -> None:
    (tmp_path / "state").touch()
    (tmp_path / "kuma.json").mkdir()
    file = tmp_path / "kuma-sd.conf"
    file.write_text(
        "[kuma-sd]\n"
        "cp-address = east=http://a west=http://b\n"
        f"state-dir = {tmp_path}/state\n"
        f"tls-ca-file = {tmp_path}/ca.pem\n"
        "[west]\n"
        f"bearer-token-file = {tmp_path}\n"
        "[file_sd]\n"
        f"path = {tmp_path}/kuma.json\n"
    )
    assert main(["check", "-c", str(file)]) == 2
    assert sorted(capsys.readouterr().err.splitlines()) == [
        f"kuma-sd: {file}:3: state-dir '{tmp_path}/state' is no directory",
        f"kuma-sd: {file}:4: tls-ca-file '{tmp_path}/ca.pem' is not there",
        f"kuma-sd: {file}:6: bearer-token-file '{tmp_path}' is a directory",
        f"kuma-sd: {file}:8: output file_sd: '{tmp_path}/kuma.json' is a directory; name a file in it",
    ]
    (tmp_path / "state").unlink()
    (tmp_path / "kuma.json").rmdir()
    (tmp_path / "ca.pem").touch()
    file.write_text(file.read_text().replace(f"bearer-token-file = {tmp_path}\n", f"tls-ca-file = {tmp_path}/ca.pem\n"))
    assert main(["check", "-c", str(file)]) == 0


def test_what_the_daemon_would_fail_at_is_said_together_with_files_that_are_not_there(
    tmp_path: Path, capsys: Printed
) -> None:
    (tmp_path / ".kuma-sd").touch()
    file = tmp_path / "kuma-sd.conf"
    file.write_text(
        "[kuma-sd]\n"
        "cp-address = http://a\n"
        f"state-dir = {tmp_path}/state\n"
        f"tls-ca-file = {tmp_path}/ca.pem\n"
        "[file_sd]\n"
        f"path = {tmp_path}/t.json\n"
        "group = nosuch\n"
    )
    assert main(["check", "-c", str(file)]) == 2
    missing, folder, group = sorted(capsys.readouterr().err.splitlines())
    assert missing == f"kuma-sd: {file}:4: tls-ca-file '{tmp_path}/ca.pem' is not there"
    assert folder.startswith(f"kuma-sd: {file}:6: output file_sd: cannot write into the directory '{tmp_path}': ")
    assert group.startswith(f"kuma-sd: {file}:7: output file_sd: there is no group 'nosuch' to give the file to; ")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".kuma-sd", "kuma-sd.conf"]


def test_the_command_for_prometheus_prints_the_job_of_the_same_settings(tmp_path: Path, capsys: Printed) -> None:
    flags = ["--output=file_sd one=file_sd", f"--one-path={tmp_path}/a b.json", "--cp-address=http://me:s3cr3t@host"]
    assert main(["check", *flags]) == 0
    command = capsys.readouterr().out.partition("For prometheus.yml: kuma-sd ")[2]
    assert "s3cr3t" not in command
    assert main(shlex.split(command)) == 0
    assert f"{tmp_path}/a b.json" in capsys.readouterr().out
