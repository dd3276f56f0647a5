import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from os_reasons import NOT_A_DIRECTORY
from swapping import needs_root

from kuma_sd.cli.render.target_changes import Targets, changes

Demo = subprocess.Popen[str]


@contextlib.contextmanager
def demo(directory: Path, *arguments: str, **environment: str) -> Iterator[Demo]:
    command = [sys.executable, "-m", "kuma_sd", "demo", "--directory", str(directory), *arguments]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        # Its own end ends the daemon, too; it is killed only after that failed.
        process.terminate()
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def line_with(process: Demo, part: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if part in line:
            return line
    raise AssertionError(f"it ended without {part!r}: {process.stderr and process.stderr.read()}")


def children(process: Demo) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def test_it_shows_the_whole_job(tmp_path: Path) -> None:
    directory = tmp_path / "new" / "demo"
    with demo(directory, "--churn", "5") as process:
        assert "grpc://127.0.0.1:" in line_with(process, "Simulated control plane:")
        for name in ("kuma-sd.conf", "targets.json", "targets.yml", "prometheus.yml", "kuma-sd.log"):
            assert line_with(process, str(directory / name))
        assert line_with(process, "20 targets")
        line = line_with(process, " targets)")
        assert re.fullmatch(r"\d\d:\d\d:\d\d  (added|removed|changed)  .* \(\d+ targets\)\n", line)
    assert process.returncode == 0
    published = json.loads((directory / "targets.json").read_bytes())
    assert len(published) == pytest.approx(20, abs=10)
    assert yaml.safe_load((directory / "targets.yml").read_bytes())[0].keys() == published[0].keys()


def test_the_commands_and_addresses_that_it_prints_work_while_it_runs(tmp_path: Path) -> None:
    with demo(tmp_path, "--churn", "0") as process:
        ran = line_with(process, "kuma-sd follows it:").split(":", 1)[1].split()
        page = line_with(process, "Status page:").split()[-1]
        commands = [line_with(process, f" {name} ").split(":")[-1].split() for name in ("status", "explain")]
        line_with(process, "20 targets")
        [daemon] = children(process)
        assert Path(f"/proc/{daemon}/cmdline").read_text().split("\0")[3:-1] == ran[1:]
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(page, timeout=10) as answer:
            assert b"kuma-sd" in answer.read()
        for command in commands:
            asked = subprocess.run([sys.executable, "-m", "kuma_sd", *command[1:]], capture_output=True, check=False)
            assert asked.returncode == 0, asked


def test_it_shows_kuma_3_on_kubernetes_over_the_api(tmp_path: Path) -> None:
    with demo(tmp_path, "--kuma-version=3.0", "--environment=kubernetes", "--churn=5") as process:
        assert "kuma-api+http://127.0.0.1:" in line_with(process, "Simulated control plane:")
        assert line_with(process, "20 targets")
        assert line_with(process, " targets)")
    assert process.returncode == 0
    published = json.loads((tmp_path / "targets.json").read_bytes())
    assert all(group["labels"]["job"] != "unknown" for group in published)


def test_a_second_demo_in_one_directory_is_refused_and_leaves_the_first_as_it_is(tmp_path: Path) -> None:
    with demo(tmp_path, "--churn", "0") as first:
        line_with(first, "20 targets")
        before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
        with demo(tmp_path, "--targets", "3") as second:
            output, errors = second.communicate(timeout=60)
        said = f"another demo runs in the directory '{tmp_path}'; stop it, or give this one another: --directory PATH"
        assert (second.returncode, output, errors) == (2, "", f"kuma-sd: {said}\n")
        assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    with demo(tmp_path, "--targets", "3") as third:
        line_with(third, "3 targets")


def test_it_says_when_the_guard_acts_and_why(tmp_path: Path) -> None:
    with demo(tmp_path, "--churn", "4") as process:
        held = line_with(process, "  guard    holds ").partition("holds ")[2].strip()
        one = held.startswith("1 target, for 5 s unless it returns: ")
        assert one or re.match(r"\d+ targets, for 5 s unless they return: ", held)
        assert held.endswith("a connection was made shortly before")
        assert line_with(process, "  guard    holds nothing any more")


@pytest.mark.parametrize(
    "stop",
    [
        pytest.param(lambda pid: os.kill(pid, signal.SIGTERM), id="SIGTERM"),
        pytest.param(lambda pid: os.killpg(pid, signal.SIGINT), id="Ctrl-C"),
    ],
)
def test_its_end_ends_the_daemon(tmp_path: Path, stop: Callable[[int], None]) -> None:
    with demo(tmp_path) as process:
        line_with(process, "20 targets")
        [daemon] = children(process)
        started = time.monotonic()
        stop(process.pid)
        output, errors = process.communicate(timeout=5)
        assert time.monotonic() - started < 2
    assert (process.returncode, errors) == (0, "")
    assert output.endswith(f"Stopped. The files stay in {tmp_path}/\n")
    assert not Path(f"/proc/{daemon}").exists()
    assert (tmp_path / "targets.json").exists()


def test_a_daemon_that_ends_is_said(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        line_with(process, "20 targets")
        [daemon] = children(process)
        os.kill(daemon, signal.SIGKILL)
        _, errors = process.communicate(timeout=5)
    assert process.returncode == 1
    [line] = errors.splitlines()
    assert line.startswith(f"kuma-sd: kuma-sd ended; the last line in '{tmp_path / 'kuma-sd.log'}' is: time=")


def test_settings_of_a_real_kuma_sd_do_not_disturb_it(tmp_path: Path) -> None:
    disturbing = {
        "KUMA_SD_CP_ADDRESS": "nonsense",
        "KUMA_SD_OUTPUT": "nonsense",
        "KUMA_SD_CONFIG": "/nowhere",
        "http_proxy": "http://127.0.0.1:1",
    }
    with demo(tmp_path, "--targets", "3", "--churn", "0", **disturbing) as process:
        assert line_with(process, "3 targets")


def test_what_an_earlier_demo_left_is_no_news(tmp_path: Path) -> None:
    for targets in ("5", "7"):
        with demo(tmp_path, "--targets", targets, "--churn", "0") as process:
            assert line_with(process, " targets\n").endswith(f"  {targets} targets\n")


def test_a_directory_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with demo(tmp_path / "file" / "demo") as process:
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 2
    assert errors == f"kuma-sd: cannot write into the directory '{tmp_path}/file/demo': {NOT_A_DIRECTORY}\n"


@pytest.mark.parametrize(("owner", "mode"), [(12345, 0o755), (-1, 0o777)])
@needs_root
def test_nothing_is_written_where_another_user_can_put_links_or_settings(tmp_path: Path, owner: int, mode: int) -> None:
    directory, precious = tmp_path / "demo", tmp_path / "precious"
    directory.mkdir()
    precious.write_text("precious")
    (directory / "kuma-sd.log").symlink_to(precious)
    os.chown(directory, owner, -1)
    directory.chmod(mode)
    with demo(directory) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert errors.startswith(f"kuma-sd: '{directory}' ")
    assert errors.endswith("; or give the demo another directory: --directory PATH\n")
    assert precious.read_text() == "precious"
    assert [path.name for path in directory.iterdir()] == ["kuma-sd.log"]


@pytest.mark.skipif(not shutil.which("prometheus"), reason="needs the real Prometheus")
def test_prometheus_reads_its_files_and_contacts_no_target(tmp_path: Path) -> None:
    with demo(tmp_path, "--churn", "0") as process:
        line_with(process, "20 targets")
        subprocess.run(["promtool", "check", "config", str(tmp_path / "prometheus.yml")], check=True)
        with prometheus(tmp_path) as url:
            found = targets_of(url)
    published = json.loads((tmp_path / "targets.json").read_bytes())
    assert found["activeTargets"] == []
    addresses = sorted(target["discoveredLabels"]["__address__"] for target in found["droppedTargets"])
    assert addresses == sorted([group["targets"][0] for group in published] * 2)


@contextlib.contextmanager
def prometheus(directory: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [
        "prometheus",
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'prometheus'}",
        f"--web.listen-address={address}",
        "--log.level=warn",
    ]
    process = subprocess.Popen(command)
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(10)


def targets_of(url: str) -> Any:
    """Ask until targets are there: it syncs what it discovers every five seconds."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), opener.open(f"{url}/api/v1/targets?state=any", timeout=5) as answer:
            found = json.load(answer)["data"]
            if len(found["droppedTargets"]) + len(found["activeTargets"]) >= 40:
                return found
        threading.Event().wait(0.2)
    raise AssertionError("Prometheus discovered nothing")


def described(before: Targets, now: Targets) -> list[str]:
    return list(changes(before, now))


def test_additions_removals_and_changes_are_told() -> None:
    web = {"__address__": "127.1.0.1:5670", "version": "v1", "versions": ",v1,", "env": "prod"}
    before = {("default", "web-01"): web, ("default", "web-02"): web}
    now = {("default", "web-01"): web | {"version": "v2", "versions": ",v2,"}, ("payments", "web-02"): web}
    assert described(before, now) == [
        "added    payments/web-02 at 127.1.0.1:5670",
        "removed  default/web-02",
        "changed  default/web-01: version v1 -> v2",
    ]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, []),
        ({"__address__": "127.1.0.2:5670"}, ["changed  default/web-01: address 127.1.0.1:5670 -> 127.1.0.2:5670"]),
        ({"team": "a", "teams": ",a,"}, ["changed  default/web-01: team none -> a"]),
        ({"versions": ",v1,v2,"}, ["changed  default/web-01: versions ,v1, -> ,v1,v2,"]),
    ],
)
def test_what_changed_is_told_without_saying_it_twice(change: dict[str, str], told: list[str]) -> None:
    web = {"__address__": "127.1.0.1:5670", "version": "v1", "versions": ",v1,"}
    assert described({("default", "web-01"): web}, {("default", "web-01"): web | change}) == told
