"""Watch a real Prometheus while dataplanes come, go and change: is a target that lasts ever missing?"""

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

from processes import Process
from prometheus import Prometheus
from waiting import eventually

from kuma_sd.simulator import Dataplane, World

_DROP = """
    relabel_configs:
      - {action: drop, source_labels: [], regex: ""}
"""


class Missing(NamedTuple):
    """Targets that Prometheus lacked, and how many seconds after the start."""

    seconds: float
    names: set[str]


class Churn:
    """Lets dataplanes come, go and change, and looks twice a second whether Prometheus has all that last.

    Args:
        world: the dataplanes of the control plane.
        server: the Prometheus that gets them.
        lasting: the names of those that stay, and change.
        passing: those that come and go.
    """

    def __init__(self, world: World, server: Prometheus, lasting: Sequence[str], passing: Sequence[Dataplane]) -> None:
        self._world, self._server = world, server
        self._lasting, self._passing = lasting, passing
        self._closing = threading.Event()
        self.looks = 0
        self.missing: list[Missing] = []
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
            dataplane = chosen.choice(self._passing)
            if dataplane.name in present:
                self._world.remove(dataplane.name)
            else:
                self._world.add(dataplane)
            present ^= {dataplane.name}
            self._world.alter(chosen.choice(self._lasting), service=f"service-{chosen.randrange(5)}")

    def _look(self) -> None:
        begun = time.monotonic()
        while not self._closing.wait(0.5):
            if lost := set(self._lasting) - found_by(self._server):
                self.missing.append(Missing(time.monotonic() - begun, lost))
            self.looks += 1


def found_by(server: Prometheus) -> set[str]:
    """Return the names of the dataplanes that a Prometheus has discovered, and dropped."""
    dropped = server.get("/api/v1/targets")["droppedTargets"]
    return {target["discoveredLabels"].get("dataplane", "") for target in dropped}


def configure(config: Path, settings: Path) -> None:
    """Write the configuration that `kuma-sd prometheus-config` prints; it drops every target before it is scraped."""
    command = [sys.executable, "-m", "kuma_sd", "prometheus-config", "-c", str(settings)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    config.write_text(printed.rstrip() + _DROP)


def divide(daemon: Process, settings: Path, parts: int) -> None:
    """Change the number of parts, and wait until all is written."""
    settings.write_text(settings.read_text().rsplit("parts = ", 1)[0] + f"parts = {parts}\n")
    daemon.signal(signal.SIGHUP)
    daemon.wait_for_line(f" parts={parts} old_parts=")


def reload(server: Prometheus, entries: int) -> None:
    """Let Prometheus read its configuration again, and wait until it has so many entries."""
    server.process.signal(signal.SIGHUP)
    eventually(lambda: len(server.get("/api/v1/status/config")["yaml"].split("kuma.json")) - 1 == entries, "it reloads")
