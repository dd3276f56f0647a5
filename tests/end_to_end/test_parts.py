"""The number of parts changes under a running Prometheus, while dataplanes come, go and change."""

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pytest
from processes import Process, eventually, kuma_sd
from prometheus import Prometheus, needs_prometheus, prometheus

from kuma_sd.simulator import Dataplane, World
from kuma_sd.testing import control_plane

pytestmark = pytest.mark.timeout(300)

LASTING = [f"lasting-{number:03}" for number in range(150)]
PASSING = [f"passing-{number:03}" for number in range(50)]

DROP = """
    relabel_configs:
      - {action: drop, source_labels: [], regex: ""}
"""


def dataplane(name: str) -> Dataplane:
    return Dataplane(name, address=f"127.0.0.1:{(LASTING + PASSING).index(name) + 1}")


class Churn:
    """Lets dataplanes come, go and change, and looks twice a second whether Prometheus has all that last."""

    def __init__(self, world: World, server: Prometheus) -> None:
        self._world = world
        self._server = server
        self._closing = threading.Event()
        self.looks = 0
        self.missing: list[tuple[float, set[str]]] = []
        self._threads = [threading.Thread(target=run) for run in (self._churn, self._look)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        for thread in self._threads:
            thread.join()

    def _churn(self) -> None:
        chosen = random.Random(20)
        present: set[str] = set()
        while not self._closing.wait(0.1):
            name = chosen.choice(PASSING)
            if name in present:
                self._world.remove(name)
            else:
                self._world.add(dataplane(name))
            present ^= {name}
            self._world.alter(chosen.choice(LASTING), service=f"service-{chosen.randrange(5)}")

    def _look(self) -> None:
        begun = time.monotonic()
        while not self._closing.wait(0.5):
            if lost := set(LASTING) - found_by(self._server):
                self.missing.append((time.monotonic() - begun, lost))
            self.looks += 1


def found_by(server: Prometheus) -> set[str]:
    dropped = server.get("/api/v1/targets")["droppedTargets"]
    return {target["discoveredLabels"].get("dataplane", "") for target in dropped}


def configure(config: Path, settings: Path) -> None:
    """Configure Prometheus as `kuma-sd prometheus-config` says."""
    command = [sys.executable, "-m", "kuma_sd", "prometheus-config", "-c", str(settings)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    config.write_text(printed.rstrip() + DROP)


@contextmanager
def running(directory: Path, settings: Path) -> Iterator[tuple[World, Process]]:
    with control_plane(*map(dataplane, LASTING)) as kuma:
        settings.write_text(
            f"[kuma-sd]\ncp-address = {kuma.url}\nguard-hold = 0\nmin-interval = 100ms\n[file_sd]\n"
            f"path = {directory}/sd/{{part}}/kuma.json\nparts-overlap = 15s\nparts = 16\n"
        )
        with kuma_sd("run", "-c", settings) as daemon:
            daemon.wait_for_line("published")
            yield kuma.world, daemon


def divide(daemon: Process, settings: Path, parts: int) -> None:
    """Change the number of parts, and wait until all is written."""
    settings.write_text(settings.read_text().rsplit("parts = ", 1)[0] + f"parts = {parts}\n")
    daemon.signal(signal.SIGHUP)
    daemon.wait_for_line(f" parts={parts} old_parts=")


def reload(server: Prometheus, entries: int) -> None:
    server.process.signal(signal.SIGHUP)
    eventually(lambda: len(server.get("/api/v1/status/config")["yaml"].split("kuma.json")) - 1 == entries, "it reloads")


@needs_prometheus
def test_no_target_is_ever_missing_while_16_parts_become_64_and_16_again(tmp_path: Path) -> None:
    settings, config = tmp_path / "kuma-sd.conf", tmp_path / "prometheus.yml"
    with running(tmp_path, settings) as (world, daemon):
        configure(config, settings)
        with prometheus(config) as server:
            eventually(lambda: found_by(server) >= set(LASTING), "all targets are discovered")
            with Churn(world, server) as churn:
                time.sleep(2)
                divide(daemon, settings, 64)
                time.sleep(3)
                configure(config, settings)
                reload(server, 64)
                daemon.wait_for_line('new parts alone" parts=64')
                time.sleep(2)
                divide(daemon, settings, 16)
                # Half a minute later the others are empty; Prometheus reads them all the time.
                time.sleep(10)
                daemon.wait_for_line('new parts alone" parts=16')
                time.sleep(2)
                configure(config, settings)
                reload(server, 16)
                time.sleep(2)
            assert churn.missing == []
            assert churn.looks > 20
    others = [tmp_path / "sd" / str(part) / "kuma.json" for part in range(16, 64)]
    assert {path.read_bytes() for path in others} == {b"[]\n"}
