import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from kuma_sd.testing import control_plane


def wait_for(lines: Iterable[str], *awaited: str) -> None:
    missing = set(awaited)
    for line in lines:
        missing -= {text for text in missing if text in line}
        if not missing:
            return
    raise AssertionError(f"it ended before it said: {missing}")


def test_the_daemon_runs_with_both(tmp_path: Path) -> None:
    targets, summary = tmp_path / "targets.json", tmp_path / "summary.txt"
    with control_plane("backend-01", "backend-02") as running:
        command = [
            *(sys.executable, "-m", "kuma_sd", "run", f"--cp-address={running.url}"),
            *("--transform=site", "--site-name=east"),
            *("--output=file_sd", f"--file-sd-path={targets}", "--output=summary", f"--summary-path={summary}"),
        ]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as daemon:
            assert daemon.stderr
            wait_for(daemon.stderr, 'published" output=file_sd', 'published" output=summary')
            daemon.terminate()
            daemon.stderr.read()
    assert daemon.returncode == 0
    assert summary.read_text().startswith("targets\tmesh\tservice\n2\t")
    assert [group["labels"]["site"] for group in json.loads(targets.read_bytes())] == ["east", "east"]
