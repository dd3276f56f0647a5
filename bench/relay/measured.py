"""Measure the cost of the relay, and the time of a change from the control plane to an edge's file."""

import contextlib
import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fleet import Fleet, Member
from plane import name_of
from readers import LightEdge
from redis_server import RedisServer, running
from waiting import eventually

from kuma_sd_redis.layout import bucket_of

VERSION = re.compile(rb"version-[0-9]{6}-of-it")

SHARD = 3
"""Which hundredth one of the edges has."""

Beside = subprocess.Popen[str]
"""A process that takes and gives lines."""


@dataclass
class Costs:
    """What was measured, in the order of the table.

    Args:
        rows: by what it is.
    """

    rows: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = ["| what | measured |", "|---|---:|", *(f"| {name} | {value} |" for name, value in self.rows.items())]
        return "\n".join(lines)


class Cpu:
    """How much processor time processes took since it was made.

    Args:
        pids: process ids by name.
    """

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = pids
        self._before = {name: _seconds(pid) for name, pid in pids.items()}
        self._began = time.monotonic()

    def shares(self) -> dict[str, float]:
        """Return the share of one core that each took."""
        passed = time.monotonic() - self._began
        return {name: (_seconds(pid) - self._before[name]) / passed for name, pid in self._pids.items()}


class Watch:
    """Notices when a change is in the file of an edge.

    Args:
        edge: which.
        share: which names will be there.
    """

    def __init__(self, edge: Member, share: set[str]) -> None:
        self._path = edge.file
        self._share = share
        self._awaited: dict[bytes, float] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self.delays: list[float] = []

    def expect(self, name: str, version: str) -> None:
        """Expect a version of a target from now on."""
        if name in self._share:
            with self._lock:
                self._awaited[version.encode()] = time.time()

    def run(self) -> None:
        """Look until closed and nothing is awaited any more, for 30 s at most."""
        last, until = 0, float("inf")
        while time.monotonic() < until and not (self._closing.is_set() and not self._awaited):
            time_written = self._path.stat().st_mtime_ns
            if time_written != last:
                last = time_written
                self._look(self._path.read_bytes(), time.time())
            if self._closing.is_set():
                until = min(until, time.monotonic() + 30.0)
            threading.Event().wait(0.02)

    def close(self) -> None:
        """Let run() end."""
        self._closing.set()

    @property
    def missing(self) -> int:
        """How many changes were never seen."""
        return len(self._awaited)

    def _look(self, data: bytes, now: float) -> None:
        with self._lock:
            for version in self._awaited.keys() & set(VERSION.findall(data)):
                self.delays.append(now - self._awaited.pop(version))


class Watching:
    """All that looks while targets change.

    Args:
        fleet: whose edges' files are looked at.
        names: all targets, and those in the shard of the second edge.
    """

    def __init__(self, fleet: Fleet, names: tuple[list[str], list[str]]) -> None:
        self.files = [Watch(edge, set(some)) for edge, some in zip(fleet.edges, names, strict=True)]
        self.arrivals = LightEdge(fleet.server.url)
        self._arriving = threading.Thread(target=self._follow, daemon=True)
        self._looking = [threading.Thread(target=watch.run, daemon=True) for watch in self.files]
        self._ended = threading.Event()
        for thread in (self._arriving, *self._looking):
            thread.start()

    def expect(self, name: str, version: str) -> None:
        """Expect a version of a target from now on."""
        for watch in self.files:
            watch.expect(name, version)

    def close(self) -> None:
        """Wait until everything came, for 30 s at most."""
        for watch in self.files:
            watch.close()
        for thread in self._looking:
            thread.join()
        self._ended.set()
        self._arriving.join()

    def _follow(self) -> None:
        while not self._ended.is_set():
            self.arrivals.step(0.2)


def measured(folder: Path, targets: int, edges: int, seconds: float, rate: int) -> Costs:
    """Have one publisher, two real edges (everything, and a hundredth) and many light ones; then change targets."""
    costs, server = Costs(), RedisServer(folder / "redis")
    names = [name_of(number) for number in range(targets)]
    share = [name for name in names if bucket_of(f"/default/{name}/0/0") % 100 == SHARD]
    with _beside("plane.py", str(targets)) as kuma, running(server):
        fleet = Fleet(folder, _read(kuma), server, publishers=1, edges=["", f"?shard={SHARD}&of=100"], lease="10s")
        with _running(fleet, costs, targets), _beside("readers.py", server.url, str(edges - 3)) as light:
            assert _read(light) == "ready"
            watching = Watching(fleet, (names, share))
            pids = {"Redis": server.pid, "the publisher": fleet.publishers[0].pid}
            pids |= {"an edge with everything": fleet.edges[0].pid, "an edge with 1/100": fleet.edges[1].pid}
            _say(light, "now")
            cpu, before = Cpu(pids), _net(server)
            changes = _change(kuma, (names, share), watching, (seconds, rate))
            shares, sent = cpu.shares(), _net(server) - before
            watching.close()
            _tell(costs, changes, edges, sent, _end(light))
    for name, used in shares.items():
        costs.rows[f"CPU of {name}, share of one core"] = f"{100 * used:.1f} %"
    costs.rows["received by the publisher → known to an edge: p50 / p99 / max"] = _shown(watching.arrivals.delays)
    for watch, what in zip(watching.files, ("everything", "1/100"), strict=True):
        costs.rows[f"control plane → file, edge with {what}: p50 / p99 / max"] = _delays(watch)
    return costs


def _change(kuma: Beside, names: tuple[list[str], list[str]], watching: Watching, pace: tuple[float, int]) -> int:
    seconds, rate = pace
    rng, began, last = random.Random(1), time.monotonic(), int(seconds * rate)  # noqa: S311 (an order, no secret)
    for count in range(1, last + 1):
        threading.Event().wait(max(0.0, began + count / rate - time.monotonic()))
        # Every tenth is in the small shard, so that it has something to measure.
        name = rng.choice(names[count % 10 == 0])
        watching.expect(name, f"version-{count:06}-of-it")
        _say(kuma, f"{name} version-{count:06}-of-it")
    return last


@contextlib.contextmanager
def _running(fleet: Fleet, costs: Costs, targets: int) -> Iterator[None]:
    with contextlib.ExitStack() as ends:
        for process in (*fleet.publishers, *fleet.edges):
            ends.callback(process.kill)
        before, began = _memory(fleet.server), time.monotonic()
        fleet.publishers[0].start()
        assert fleet.publishers[0].process
        fleet.publishers[0].process.wait_for_line('published" output=redis')
        costs.rows[f"first publication of {targets:,} targets, from the start of the process"] = _since(began)
        used = _memory(fleet.server) - before
        costs.rows["Redis's memory, per target"] = f"{used / targets:,.0f} bytes"
        for edge, what in zip(fleet.edges, ("everything", "1/100"), strict=True):
            began, sent = time.monotonic(), _net(fleet.server)
            edge.start()
            eventually(edge.file.exists, "the edge has a file")
            costs.rows[f"first file of an edge with {what}, from the start of its process"] = _since(began)
            costs.rows[f"bytes sent for it by Redis ({what})"] = f"{_net(fleet.server) - sent:,}"
        yield


@contextlib.contextmanager
def _beside(name: str, *arguments: str) -> Iterator[Beside]:
    """Run a file of this folder in a process of its own: what it does must not wait for us, nor we for it."""
    command = [sys.executable, str(Path(__file__).with_name(name)), *arguments]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, text=True) as process:  # noqa: S603 (ours)
        try:
            yield process
        finally:
            process.kill()


def _read(process: Beside) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def _say(process: Beside, text: str) -> None:
    assert process.stdin
    process.stdin.write(f"{text}\n")
    process.stdin.flush()


def _end(process: Beside) -> list[list[int]]:
    out, _ = process.communicate()
    answer: list[list[int]] = json.loads(out)
    return answer


def _tell(costs: Costs, changes: int, edges: int, sent: int, light: list[list[int]]) -> None:
    received, entries, looks = (sum(column) for column in zip(*light, strict=True))
    costs.rows["changes"] = f"{changes:,}"
    costs.rows["entries that each light edge applied"] = f"{entries / len(light):,.1f}"
    costs.rows["bytes per change and edge, payload"] = f"{received / len(light) / changes:,.0f}"
    costs.rows["bytes per change and edge, on the wire"] = f"{sent / edges / changes:,.0f}"
    costs.rows["buckets that light edges had to look at"] = f"{looks:,}"


def _delays(watch: Watch) -> str:
    return _shown(watch.delays) + (f", {watch.missing} never came" if watch.missing else "")


def _shown(values: list[float]) -> str:
    delays = sorted(values)
    shown = " / ".join(f"{delays[min(len(delays) - 1, int(share * len(delays)))]:.2f}" for share in (0.5, 0.99, 1.0))
    return f"{shown} s of {len(delays)}"


def _since(began: float) -> str:
    return f"{time.monotonic() - began:.1f} s"


def _net(server: RedisServer) -> int:
    return _info(server, "stats", "total_net_output_bytes")


def _memory(server: RedisServer) -> int:
    return _info(server, "memory", "used_memory")


def _info(server: RedisServer, section: str, name: str) -> int:
    lines = dict(line.split(":", 1) for line in server.cli("INFO", section).splitlines() if ":" in line)
    return int(lines[name])


def _seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
