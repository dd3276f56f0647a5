"""`kuma-sd explain`, with real daemons and control planes."""

import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from daemon_process import kuma_sd
from processes import Process
from waiting import eventually

from kuma_sd.cli.main import main
from kuma_sd.simulator import Dataplane, SimulatedControlPlane, World
from kuma_sd.testing import control_plane

Printed = pytest.CaptureFixture[str]

SETTINGS = """
[kuma-sd]
cp-address = east={url}
transform = site=labels nat=relabel
output = all=file_sd payments=file_sd
state-dir = {folder}/state
control-socket = {folder}/control.sock
guard-hold = forever
log-level = {level}
[site]
add = site=fra
[nat]
rules =
    - {{source_labels: [__address__], regex: '.*:(\\d+)', target_label: __address__, replacement: 'nat:$1'}}
    - {{action: drop, source_labels: [env], regex: test}}
[only]
match = mesh="payments"
[all]
path = {folder}/all.json
[payments]
path = {folder}/payments.json
transform = only=filter site
"""

EVIL = "\x1b[2J<script>alert(1)</script>\u202e"


@pytest.fixture(scope="module")
def kuma() -> Iterator[SimulatedControlPlane[World]]:
    dataplanes = [Dataplane(f"web-{number}", labels={"env": "prod"}) for number in range(3)]
    dataplanes += [Dataplane("web-test", labels={"env": "test"}), Dataplane("pay", mesh="payments", labels={"x": EVIL})]
    with control_plane(*dataplanes) as running:
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, kuma: SimulatedControlPlane[World]) -> Path:
    folder = tmp_path_factory.mktemp("explain")
    for level in ("info", "error"):
        settings = SETTINGS.format(url=kuma.url, folder=folder, level=level)
        (folder / f"{level}.conf").write_text(settings)
    return folder


@pytest.fixture(scope="module")
def daemon(folder: Path) -> Iterator[Process]:
    own = {"KUMA_SD_STATE_DIR": "", "KUMA_SD_CONTROL_SOCKET": ""}
    with kuma_sd("run", "-c", folder / "info.conf", **own) as running:
        running.wait_for_line("published")
        running.wait_for_line("published")
        eventually((folder / "state/east.snapshot").exists, "the snapshot is saved")
        yield running


def explain(folder: Path, printed: Printed, *words: str) -> tuple[int, str, str]:
    status = main(["explain", *words, "-c", str(folder / "error.conf")])
    return status, *printed.readouterr()


def as_json(folder: Path, printed: Printed, *words: str) -> Any:
    status, out, errors = explain(folder, printed, "--format=json", *words)
    assert (status, errors) == (0, "")
    return json.loads(out)


@pytest.mark.usefixtures("daemon")
def test_daemon_control_plane_and_file_give_the_same_steps(folder: Path, capsys: Printed) -> None:
    everything = [
        as_json(folder, capsys, "{}", f"--from={origin}")
        for origin in ("daemon", "control-plane", f"file:{folder}/state/east.snapshot")
    ]
    assert everything[0] == everything[1] == everything[2]
    (targets,) = {len(item["targets"]) for item in everything}
    assert targets == 5


@pytest.mark.usefixtures("daemon")
def test_it_tells_where_a_target_is_published_and_which_step_drops_it(folder: Path, capsys: Printed) -> None:
    status, out, _ = explain(folder, capsys, "web-1")
    lines = out.splitlines()
    assert (status, lines[0]) == (0, "dataplane web-1, mesh default, control plane east")
    assert lines[1].startswith("  all       published  nat:")
    assert lines[1].endswith(f" in {folder}/all.json")
    assert lines[2] == '  payments  dropped    only (filter): mesh="payments"'
    assert '  only (filter): mesh="payments": dropped' in lines
    assert any(line.startswith("  nat (relabel): rule 1: replace") for line in lines)
    _, out, _ = explain(folder, capsys, "web-test", "all")
    assert out.splitlines()[
        1
    ] == '  all  dropped  nat (relabel): rule 2: drop, source_labels: ["env"], regex: "test"'.replace(
        "dropped  ", "dropped    "
    )


@pytest.mark.usefixtures("daemon")
def test_the_json_is_as_documented(folder: Path, capsys: Printed) -> None:
    (one,) = as_json(folder, capsys, "pay", "payments")["targets"]
    assert one["target"] == {"control_plane": "east", "mesh": "payments", "dataplane": "pay", "ordinal": 0}
    assert (one["state"], one["received"]["codec"], one["received"]["failure"]) == ("present", "v1", "")
    (chain,) = one["chains"]
    (verdict,) = chain["outputs"]
    assert (chain["label_profile"], chain["transforms"]) == ("kuma-prometheus-sd", ["only", "site"])
    assert (verdict["output"], verdict["verdict"], verdict["why"]) == ("payments", "published", "")
    (trace,) = chain["traces"]
    assert [(step["name"], step["plugin"], step["outcome"]) for step in trace["steps"]] == [
        ("label-profile", "", "changed"),
        ("only", "filter", "unchanged"),
        ("site", "labels", "changed"),
    ]
    (published,) = json.loads((folder / "payments.json").read_bytes())
    (group,) = verdict["groups"]
    assert {name: group[name] for name in ("targets", "labels")} == published
    assert {name: trace["group"][name] for name in ("targets", "labels")} == published
    assert (group["where"], group["same_as"]) == (f"{folder}/payments.json", None)
    example = (Path(__file__).parents[3] / "docs/explain.md").read_text().partition("```json\n")[2].partition("```")[0]
    assert shape(json.loads(example)) == shape(as_json(folder, capsys, "web-1", "all"))


def shape(value: Any) -> Any:
    """Return the names in a JSON text, whatever their values, but for those of labels."""
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    if not isinstance(value, dict):
        return None
    return {name: shape(item) for name, item in value.items() if name not in LABELS}


LABELS = ("labels", "added", "removed", "changed")


@pytest.mark.usefixtures("daemon")
def test_nothing_that_is_received_commands_the_terminal(folder: Path, capsys: Printed) -> None:
    _, out, _ = explain(folder, capsys, "pay")
    assert "\\u001b[2J<script>" in out
    assert all(line.isprintable() for line in out.splitlines())
    _, out, _ = explain(folder, capsys, "pay", "--format=json")
    assert "\x1b" not in out


@pytest.mark.usefixtures("daemon")
def test_what_nobody_has_is_said_with_what_is_near(folder: Path, capsys: Printed) -> None:
    for origin in ("daemon", "control-plane"):
        status, out, errors = explain(folder, capsys, "web-11", f"--from={origin}")
        assert (status, out) == (1, "")
        assert errors == "kuma-sd: no target matches 'web-11'; did you mean 'web-1', 'web-2' or 'web-0'?\n"
    status, out, _ = explain(folder, capsys, "mesh=nowhere", "--format=json")
    assert (status, json.loads(out)) == (1, {"targets": [], "more": False, "near": []})


@pytest.mark.usefixtures("daemon")
def test_a_wrong_question_is_one_line(folder: Path, capsys: Printed) -> None:
    assert explain(folder, capsys, "mesh=")[::2] == (
        2,
        "kuma-sd: 'mesh=' is wrong at character 6: expected a value for mesh, in quotes that are closed again\n",
    )
    said = "kuma-sd: there is no output 'al'; did you mean 'all'?\n"
    assert explain(folder, capsys, "pay", "al") == (2, "", said)
    assert explain(folder, capsys, "pay", "al", "--from=control-plane") == (2, "", said)
    assert explain(folder, capsys, "pay", "--limit=0") == (2, "", "kuma-sd: --limit must be at least 1\n")


def test_without_a_daemon_it_says_what_to_do(folder: Path, tmp_path: Path, capsys: Printed) -> None:
    status, _, errors = explain(folder, capsys, "pay", f"--control-socket={tmp_path}/none.sock")
    assert (status, errors.startswith(f"kuma-sd: no daemon listens at '{tmp_path}/none.sock'")) == (1, True)


def test_what_the_guard_holds_is_said(
    kuma: SimulatedControlPlane[World], folder: Path, daemon: Process, capsys: Printed
) -> None:
    kuma.world.remove("web-0")
    daemon.wait_for_line("targets vanished but stay")
    _, out, _ = explain(folder, capsys, "web-0", "all")
    assert "\n  all  published  nat:" in out
    assert "its control plane no longer sends it, but the guard holds it" in out


def test_a_terminal_gets_colours_and_a_pipe_none(folder: Path, daemon: Process) -> None:
    del daemon
    command = [sys.executable, "-m", "kuma_sd", "explain", "web-1", "-c", str(folder / "error.conf")]
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | {"TERM": "xterm"}
    piped = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert "\x1b" not in piped
    ours, theirs = pty.openpty()
    shown: list[bytes] = []
    reader = threading.Thread(target=read_all, args=(ours, shown))
    reader.start()
    subprocess.run(command, env=environment, stdout=theirs, check=True)
    os.close(theirs)
    reader.join()
    coloured = b"".join(shown).decode().replace("\r\n", "\n")
    assert "\x1b[32mpublished\x1b[0m" in coloured
    assert "\x1b[31mdropped  \x1b[0m" in coloured


def read_all(descriptor: int, into: list[bytes]) -> None:
    """Read what is written to a terminal, until it is closed, which the kernel reports as an error."""
    with open(descriptor, "rb", buffering=0) as terminal:
        try:
            while piece := terminal.read(4096):
                into.append(piece)
        except OSError:
            return
