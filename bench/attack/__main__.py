"""Attack the daemon's listener while a scraper reads it; measure scrape times, and whether changes are published."""

import argparse
import base64
import contextlib
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import bcrypt
from daemon_process import kuma_sd
from processes import Process
from redis_server import free_port
from waiting import eventually

from kuma_sd.simulator import Dataplane, SimulatedControlPlane, World
from kuma_sd.testing import control_plane

ATTACKERS = Path(__file__).with_name("attackers.py")

CREDENTIALS = base64.b64encode(b"prometheus:right").decode()

LONGEST_SCRAPE = 1.0
"""Limit of the 99th percentile of scrape times, in seconds."""

LONGEST_CHANGE = 5.0
"""Limit of the time from a change to the file, in seconds, including min-interval of 1 s."""

SCENARIOS: dict[str, dict[str, int]] = {
    "nobody attacks": {},
    "1,000 sockets that send a byte a second": {"slow": 1000},
    "200 readers that take a byte a second": {"reader": 200},
    "60 password guessers": {"guesser": 60},
    "24 floods of explanations": {"explainer": 24},
    "24 floods of shards": {"sharder": 24},
    "all of them": {"slow": 1000, "reader": 200, "guesser": 60, "explainer": 24, "sharder": 24},
}


@dataclass
class Outcome:
    """The measurements of one scenario, in seconds."""

    scrapes: dict[str, list[float]] = field(default_factory=lambda: {"/metrics": [], "/sd": []})
    changes: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether all limits are met."""
        slowest = max(_percentile(times, 99) for times in self.scrapes.values())
        return not self.failures and slowest < LONGEST_SCRAPE and max(self.changes) < LONGEST_CHANGE

    def row(self, name: str) -> str:
        """Return a row of the table."""
        cells = [
            f"{1000 * _percentile(times, 50):.0f} / {1000 * _percentile(times, 99):.0f} ms"
            for times in self.scrapes.values()
        ]
        return " | ".join([f"| {name}", *cells, f"{max(self.changes):.1f} s", f"{len(self.failures)} |"])


def main() -> int:
    """Run the scenarios; return the exit status."""
    parser = argparse.ArgumentParser("script/bench attack", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="how long each lasts (default: 20)")
    parser.add_argument("--targets", type=int, default=5000, help="how many targets there are (default: 5000)")
    arguments = parser.parse_args()
    print("| | `/metrics`, p50 / p99 | `/sd`, p50 / p99 | slowest change | failed scrapes |\n|---|---:|---:|---:|---:|")
    good = True
    with control_plane(*(f"backend-{number}" for number in range(arguments.targets))) as kuma, _daemon(kuma) as daemon:
        for name, attackers in SCENARIOS.items():
            with _attacked(daemon.port, attackers):
                outcome = _measured(daemon, kuma.world, arguments.seconds)
            print(outcome.row(name), flush=True)
            print(*outcome.failures[:3], sep="\n", file=sys.stderr, end="\n" if outcome.failures else "")
            good = good and outcome.is_good
    return not good


@dataclass(frozen=True)
class Daemon:
    """A daemon under attack."""

    process: Process
    port: int
    path: Path


@contextlib.contextmanager
def _daemon(kuma: SimulatedControlPlane[World]) -> Iterator[Daemon]:
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        users = {"prometheus": bcrypt.hashpw(b"right", bcrypt.gensalt(10)).decode()}
        (folder / "web.yml").write_text(f"basic_auth_users: {json.dumps(users)}\n")
        flags = [
            f"--cp-address={kuma.url}",
            "--output=file_sd",
            "--output=http_sd",
            f"--web-config-file={folder}/web.yml",
        ]
        flags += [f"--file-sd-path={folder}/targets.json", f"--web-listen-address=127.0.0.1:{port}"]
        with kuma_sd("run", *flags) as process:
            process.wait_for_line("published")
            yield Daemon(process, port, folder / "targets.json")


@contextlib.contextmanager
def _attacked(port: int, attackers: dict[str, int]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for kind, count in attackers.items():
            # Attackers are other machines: their CPU time is not to be taken from the daemon.
            command = ["nice", "-n", "19", sys.executable, ATTACKERS, kind, str(count), str(port), CREDENTIALS]
            process = stack.enter_context(subprocess.Popen(command))  # noqa: S603 (our own)
            stack.callback(process.kill)
        # Wait until all attackers are running.
        time.sleep(3 if attackers else 0)
        yield


def _measured(daemon: Daemon, world: World, seconds: float) -> Outcome:
    outcome, ending = Outcome(), threading.Event()
    changing = threading.Thread(target=_change, args=(daemon.path, world, outcome, ending))
    changing.start()
    # A returning scraper: the daemon has its password in the cache.
    for path in outcome.scrapes:
        _scraped(daemon.port, path, outcome)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for path, times in outcome.scrapes.items():
            times.append(_scraped(daemon.port, path, outcome))
            time.sleep(0.05)
    ending.set()
    changing.join()
    return outcome


def _scraped(port: int, path: str, outcome: Outcome) -> float:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", headers={"Authorization": f"Basic {CREDENTIALS}"}
    )
    begun = time.monotonic()
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:  # noqa: S310 (as above)
            answer.read()
    except (OSError, http.client.HTTPException) as error:
        outcome.failures.append(f"{path}: {error}")
    return time.monotonic() - begun


def _change(path: Path, world: World, outcome: Outcome, ending: threading.Event) -> None:
    number = 0
    while not ending.wait(0.5):
        number += 1
        service = f"changed-{time.monotonic_ns()}"
        begun = time.monotonic()
        world.add(Dataplane("backend-0", service=service))
        eventually(lambda service=service: service.encode() in path.read_bytes(), "the change is in the file")
        outcome.changes.append(time.monotonic() - begun)


def _percentile(times: list[float], percent: int) -> float:
    return statistics.quantiles(times, n=100)[percent - 1] if len(times) > 1 else max(times, default=0.0)


if __name__ == "__main__":
    sys.exit(main())
