"""The real Prometheus of Debian, which discovers and scrapes nothing: every target is dropped by relabelling."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from processes import Process
from waiting import eventually

needs_prometheus = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")) and not os.environ.get("CI"),
    reason="needs Debian's package prometheus",
)

_JOB = """
  - job_name: {name}
    file_sd_configs: [{{files: [{file}]}}]
    relabel_configs:{rules}
      - {{action: drop, source_labels: [], regex: ""}}
"""


def write_config(directory: Path, *files: Path, rules: str = "") -> Path:
    """Write a configuration with a job for each file, named after it; the last rule drops every target.

    Args:
        directory: where.
        *files: what file_sd writes.
        rules: relabelling before the drop, as YAML list items indented by six blanks, beginning with a newline.
    """
    path = directory / "prometheus.yml"
    jobs = "".join(_JOB.format(name=file.name, file=file, rules=rules) for file in files)
    path.write_text(f"scrape_configs:{jobs}")
    return path


def promtool_accepts(config: Path) -> str:
    """Let promtool check the configuration and every file in it; returns what it says."""
    checked = subprocess.run(["promtool", "check", "config", config], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    return checked.stdout + checked.stderr


@dataclass
class Prometheus:
    """A running server."""

    url: str
    process: Process

    def get(self, path: str) -> Any:
        """Ask its API."""
        with urllib.request.urlopen(f"{self.url}{path}", timeout=10) as answer:  # noqa: S310 (always http)
            return json.loads(answer.read())["data"]

    def discovered(self, file: Path) -> list[dict[str, str]]:
        """Return the labels of the targets it discovered in a file."""
        dropped = self.get("/api/v1/targets?state=dropped")["droppedTargets"]
        labels = [target["discoveredLabels"] for target in dropped]
        return [label for label in labels if label["__meta_filepath"] == str(file)]

    def metric(self, name: str) -> float:
        """Return one of its own metrics; 0 if it has none of that name."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=10) as answer:  # noqa: S310 (always http)
            lines = answer.read().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))


@contextlib.contextmanager
def prometheus(config: Path) -> Iterator[Prometheus]:
    """Run a Prometheus with this configuration until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = Process(
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={config.parent / 'tsdb'}",
        f"--web.listen-address={address}",
        "--log.level=warn",
    )
    server = Prometheus(f"http://{address}", process)
    try:
        eventually(lambda: _ready(server), "Prometheus is ready")
        yield server
    finally:
        process.kill()


def _ready(server: Prometheus) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"{server.url}/-/ready", timeout=10):  # noqa: S310 (http)
        return True
    return False
