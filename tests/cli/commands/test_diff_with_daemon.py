"""`kuma-sd diff` beside a real daemon: what a reload would change, and what is held back."""

import contextlib
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from daemon_process import kuma_sd
from waiting import eventually

from kuma_sd.cli.main import main
from kuma_sd.simulator import Dataplane, GeneratedWorld, SimulatedControlPlane, World
from kuma_sd.testing import control_plane


@pytest.fixture
def kuma() -> Iterator[SimulatedControlPlane[World]]:
    with control_plane("a", "b", "c") as running:
        yield running


def write(directory: Path, name: str, address: str, core: str = "", sections: str = "") -> Path:
    """Write settings that have the control socket and the output of the daemon."""
    path = directory / name
    common = f"control-socket = {directory}/control.sock\nlog-level = warn"
    path.write_text(
        f"[kuma-sd]\ncp-address = {address}\n{common}\n{core}\n[file_sd]\npath = {directory}/x.json\n{sections}\n"
    )
    return path


def diff(*arguments: str | Path, status: int = 0) -> str:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        found = main(["diff", *map(str, arguments)])
    assert (found, err.getvalue()) == (status, "")
    return out.getvalue()


def outputs(*arguments: str | Path) -> dict[str, Any]:
    return {load["output"]: load for load in json.loads(diff(*arguments, "--format=json"))["outputs"]}


def wait_for(directory: Path, targets: int) -> None:
    path = directory / "x.json"
    eventually(lambda: path.exists() and len(json.loads(path.read_bytes())) == targets, f"{targets} targets")


def test_what_a_reload_would_change_is_shown_before_it(kuma: SimulatedControlPlane[World], tmp_path: Path) -> None:
    kuma.world.add(Dataplane("d", "payments"))
    now = write(tmp_path, "now.conf", kuma.url, "output = file_sd old=file_sd", f"[old]\npath = {tmp_path}/old.json")
    new = write(
        *(tmp_path, "new.conf", kuma.url, "output = file_sd new=file_sd\ntransform = only=filter site=labels"),
        f"[only]\nmatch = mesh!=payments\n[site]\nadd = site=x\n[new]\npath = {tmp_path}/new.yml",
    )
    with kuma_sd("run", "-c", now, KUMA_SD_CONTROL_SOCKET=f"{tmp_path}/control.sock") as daemon:
        wait_for(tmp_path, 4)
        assert "no difference, 4 targets\n  against what the daemon published last" in diff("-c", now, "--exit-code")
        found = outputs("-c", new)
        counts = {name: (item["added"], item["removed"], item["changed"]) for name, item in found.items()}
        assert counts == {"file_sd": (0, 1, 3), "new": (3, 0, 0), "old": (0, 4, 0)}
        assert found["new"]["against"] == "nothing: the daemon has no output of this name"
        assert found["old"]["targets_after"] is None
        text = diff("-c", new, "--exit-code", status=1)
        assert "output old: not in the new settings; its 4 targets are left as they are" in text
        assert 'a (mesh default)  site: none → "x"' in text
        assert sorted(path.name for path in tmp_path.glob("*.*")) == sorted(
            ["control.sock", "new.conf", "now.conf", "old.json", "x.json", ".kuma-sd"]
        )
        assert kuma.counts.streams == 1, "the control plane is not asked"
        assert daemon.stop() < 1.0


def test_what_the_guard_holds_is_what_the_next_snapshot_would_remove(
    kuma: SimulatedControlPlane[World], tmp_path: Path
) -> None:
    now = write(tmp_path, "now.conf", kuma.url)
    with kuma_sd("run", "-c", now, KUMA_SD_CONTROL_SOCKET=f"{tmp_path}/control.sock") as daemon:
        wait_for(tmp_path, 3)
        kuma.world.remove("a")
        kuma.world.remove("b")
        daemon.wait_for_line("targets vanished but stay")
        assert outputs("-c", now)["file_sd"]["removed"] == 0, "without new settings the daemon changes nothing"
        held = outputs("-c", now, "--from=control-plane")["file_sd"]
        assert [(target["change"], target["dataplane"]) for target in held["targets"]] == [
            ("removed", "a"),
            ("removed", "b"),
        ]


def test_another_name_or_address_of_a_control_plane_is_told(kuma: SimulatedControlPlane[World], tmp_path: Path) -> None:
    now = write(tmp_path, "now.conf", kuma.url)
    with kuma_sd("run", "-c", now, KUMA_SD_CONTROL_SOCKET=f"{tmp_path}/control.sock"):
        wait_for(tmp_path, 3)
        named = json.loads(diff("-c", write(tmp_path, "named.conf", f"east={kuma.url}"), "--format=json"))
        assert named["remarks"] == []
        assert named["outputs"][0]["changed"] == 3, "they get its name as a label"
        moved = diff("-c", write(tmp_path, "moved.conf", "grpc://elsewhere:1"))
        assert (
            f"control plane grpc://elsewhere:1 moves: these are the targets of {kuma.url}; --from control-plane asks it"
            in moved
        )
        more = diff("-c", write(tmp_path, "more.conf", f"east={kuma.url} west=grpc://elsewhere:1"))
        assert "control plane west is new: the daemon knows none of its targets; --from control-plane asks it" in more


def test_twenty_thousand_targets_are_compared_in_a_few_seconds(tmp_path: Path) -> None:
    with SimulatedControlPlane(GeneratedWorld(20_000), refresh=0) as kuma:
        now = write(tmp_path, "now.conf", kuma.url)
        new = write(tmp_path, "new.conf", kuma.url, "transform = site=labels", "[site]\nadd = site=x")
        with kuma_sd("run", "-c", now, KUMA_SD_CONTROL_SOCKET=f"{tmp_path}/control.sock"):
            wait_for(tmp_path, 20_000)
            begun = time.perf_counter()
            text = diff("-c", new, "--limit=10")
            assert time.perf_counter() - begun < 20, "1.5 s when nothing else runs"
            assert "output file_sd: 20,000 changed; 20,000 → 20,000 targets" in text
            assert "and 19990 more; --limit 20000 shows all" in text
