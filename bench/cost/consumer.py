"""Measure the cost of a change until Prometheus has it, kuma-sd and Prometheus together, for each discovery mechanism.

One of the generated targets changes. Prometheus drops every target by relabelling, so that only discovery costs. CPU is
that of both processes from outside, without what they take while nothing changes.
"""

import argparse
import contextlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import page
from markdown import NUMBER, TEXT, markdown
from plane import Plane, serving
from watched import PATIENCE, cpu

SIZES = (20_000, 100_000)

WAYS = ("single file", "16 parts", "64 parts", "http_sd", "native")
"""How Prometheus gets the targets; native is its own kuma_sd_configs."""

NOT_SCRAPED = """
    relabel_configs:
      - {action: drop, source_labels: [], regex: ""}
"""

CALM_SECONDS = 6.0
"""Both are done once they were idle for this many seconds: Prometheus applies discovered targets every five."""

SECONDS_BETWEEN_CHANGES = 7.0
"""Longer than those five seconds, so that each change is applied separately."""

IDLE_SECONDS = 30.0
"""As long as the longest interval in kuma-sd."""

CHANGES = 3
"""How many changes are averaged."""


@dataclass(frozen=True)
class Spent:
    """The cost of one change.

    Args:
        targets: how many there are.
        way: how Prometheus gets them.
        ours: the CPU of kuma-sd, in seconds.
        prometheus: that of Prometheus.
        idle: the share of one core that kuma-sd and Prometheus take while nothing changes.
        memory: the most memory of kuma-sd and of Prometheus, in MB.
    """

    targets: int
    way: str
    ours: float
    prometheus: float
    idle: tuple[float, float]
    memory: tuple[float, float]


class Pair:
    """Prometheus and, unless it asks the control plane itself, kuma-sd.

    Args:
        folder: where their files are.
        program: the Prometheus to run.
        way: one of WAYS.
        url: of the control plane.
        targets: how many Prometheus has to discover before anything is measured.
    """

    def __init__(self, folder: Path, program: str, way: str, url: str, targets: int) -> None:
        self._folder = folder
        self._way = way
        self._url = url
        self._address = f"127.0.0.1:{_port()}"
        self.processes: list[subprocess.Popen[bytes]] = []
        if way != "native":
            self._start(sys.executable, "-m", "kuma_sd", "run", *self._settings())
            self.settle()
        config = folder / "prometheus.yml"
        config.write_text(self._job() + NOT_SCRAPED)
        self._prometheus = f"127.0.0.1:{_port()}"
        flags = (f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address={self._prometheus}")
        self._start(program, f"--config.file={config}", *flags, "--log.level=warn")
        self._wait_until_discovered(targets)
        self.settle()

    def spent(self) -> list[float]:
        """Return the CPU of each so far, in seconds."""
        return [cpu(process.pid) for process in self.processes]

    def settle(self) -> None:
        """Wait until both are idle."""
        # At most a minute: over http_sd they never are.
        for _ in range(10):
            before = sum(self.spent())
            time.sleep(CALM_SECONDS)
            if sum(self.spent()) - before < 0.02 * CALM_SECONDS:
                return

    def memory(self) -> list[float]:
        """Return the most memory of each so far, in MB."""
        found = [
            re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text()) for process in self.processes
        ]
        return [int(each[1]) / 1000 for each in found if each]

    def close(self) -> None:
        """End them."""
        for process in reversed(self.processes):
            process.kill()
            process.wait()

    def _start(self, *command: str) -> None:
        with (self._folder / "log").open("ab") as log:
            self.processes.append(subprocess.Popen(command, stdout=log, stderr=log))  # noqa: S603 (ours, and Prometheus)

    def _wait_until_discovered(self, targets: int) -> None:
        # On a busy machine, a process that waits for the CPU looks idle.
        deadline, found = time.monotonic() + PATIENCE, 0.0
        while found < targets:
            if time.monotonic() > deadline:
                raise RuntimeError(f"Prometheus discovered {found:.0f} of {targets} targets")
            time.sleep(1)
            with contextlib.suppress(OSError):
                found = self._metric("prometheus_sd_discovered_targets")

    def _metric(self, name: str) -> float:
        with urllib.request.urlopen(f"http://{self._prometheus}/metrics") as answer:
            found = re.findall(rf"^{name}{{.*}} (\S+)$", answer.read().decode(), re.MULTILINE)
        return sum(map(float, found))

    def _settings(self) -> list[str]:
        folder = self._folder
        common = [f"--cp-address={self._url}", f"--state-dir={folder}/state", f"--control-socket={folder}/control.sock"]
        if self._way == "http_sd":
            return [*common, "--output=http_sd", f"--web-listen-address={self._address}"]
        parts = self._way.split()[0]
        path = [f"--output-file={folder}/kuma.json"]
        if parts.isdigit():
            path = [f"--output-file={folder}/parts/{{part}}/kuma.json", f"--file-sd-parts={parts}"]
        return [*common, *path, "--web-listen-address="]

    def _job(self) -> str:
        if self._way == "native":
            discovery = f"kuma_sd_configs: [{{server: '{self._url}', refresh_interval: 1s}}]"
            return f"scrape_configs:\n  - job_name: kuma-dataplanes\n    {discovery}"
        command = [sys.executable, "-m", "kuma_sd", "prometheus-config", *self._settings()]
        if self._way == "http_sd":
            url = f"http://{self._address}/sd"
            return (
                "scrape_configs:\n  - job_name: kuma-dataplanes\n"
                f"    http_sd_configs: [{{url: '{url}', refresh_interval: 5s}}]"
            )
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.rstrip()  # noqa: S603 (kuma-sd)


def measured(program: str, targets: int, way: str, changes: int) -> Spent:
    """Return the average cost of a change."""
    protocol = "HTTP" if way == "native" else "gRPC"
    with tempfile.TemporaryDirectory() as folder, serving(targets, protocol) as plane:
        pair = Pair(Path(folder), program, way, plane.url, targets)
        with contextlib.closing(pair):
            return _measured(pair, plane, targets, way, changes)


def _measured(pair: Pair, plane: Plane, targets: int, way: str, changes: int) -> Spent:
    before = pair.spent()
    time.sleep(IDLE_SECONDS)
    idle = [(after - used) / IDLE_SECONDS for after, used in zip(pair.spent(), before, strict=True)]
    begun, before = time.monotonic(), pair.spent()
    for _ in range(changes):
        plane.change(1)
        time.sleep(SECONDS_BETWEEN_CHANGES)
    pair.settle()
    took = time.monotonic() - begun
    costs = [
        (after - used - share * took) / changes for after, used, share in zip(pair.spent(), before, idle, strict=True)
    ]
    # Over http_sd the cost of a change is small compared with the constant cost of polling.
    costs = [max(0.0, cost) for cost in costs]
    return Spent(targets, way, *_of_both(costs), _of_both(idle), _of_both(pair.memory()))


def _of_both(values: Sequence[float]) -> tuple[float, float]:
    """Return the values of kuma-sd and of Prometheus; without kuma-sd, its value is zero."""
    ours, prometheus = [0.0, *values][-2:]
    return ours, prometheus


def table(rows: Sequence[Spent]) -> str:
    """Return a table in Markdown."""
    numbers = ("CPU for a change: kuma-sd", "Prometheus", "together", "CPU while idle", "memory")
    lines = []
    for row in rows:
        values = f"{row.ours:.2f} s | {row.prometheus:.2f} s | **{row.ours + row.prometheus:.2f} s**"
        values += f" | {row.idle[0]:.2%} + {row.idle[1]:.2%}"
        lines.append(f"{row.targets:,} | {row.way} | {values} | {row.memory[0]:.0f} + {row.memory[1]:.0f} MB")
    return markdown({"targets": NUMBER, "Prometheus reads": TEXT} | dict.fromkeys(numbers, NUMBER), lines)


def ways(program: str) -> list[str]:
    """Return the ways that this Prometheus has: Debian's is built without kuma_sd_configs."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "prometheus.yml"
        config.write_text("scrape_configs: [{job_name: a, kuma_sd_configs: [{server: 'http://127.0.0.1:1'}]}]\n")
        # It reads the configuration first, then exits because it cannot store anything.
        flags = [f"--config.file={config}", "--storage.tsdb.path=/dev/null/tsdb", "--web.listen-address=127.0.0.1:0"]
        output = subprocess.run([program, *flags], capture_output=True, text=True, check=False)  # noqa: S603 (Prometheus)
    return [way for way in WAYS if way != "native" or "kuma_sd_configs" not in output.stdout + output.stderr]


def compared(prometheus: str, sizes: Sequence[int], chosen: Sequence[str], changes: int) -> str:
    """Measure each way with so many targets, or all ways that this Prometheus has; returns a table in Markdown."""
    program = shutil.which(prometheus)
    if not program:
        sys.exit(f"there is no {prometheus}; on Debian and Ubuntu: apt-get install prometheus")
    rows = []
    for targets in sizes:
        for way in chosen or ways(program):
            rows.append(measured(program, targets, way, changes))
            print(table(rows[-1:]).splitlines()[-1], file=sys.stderr, flush=True)
    return table(rows)


def _port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def main() -> None:
    """Measure each way with so many targets."""
    parser = argparse.ArgumentParser("script/bench consumer", description=__doc__)
    parser.add_argument("--prometheus", default="prometheus", help="the Prometheus to run")
    parser.add_argument("--targets", type=int, action="append", help="so many; repeatable (default: 20000 and 100000)")
    parser.add_argument("--way", choices=WAYS, action="append", help="this way only; repeatable (default: all it has)")
    parser.add_argument("--changes", type=int, default=CHANGES, help="how many changes to average (default: 3)")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    arguments = parser.parse_args()
    text = compared(arguments.prometheus, arguments.targets or SIZES, arguments.way, arguments.changes)
    print(text)
    if arguments.write:
        page.put({"consumer": text})


if __name__ == "__main__":
    main()
