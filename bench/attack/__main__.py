"""Attack the daemon's listener while scrapers read it; measure scrape times, and whether changes are published."""

import argparse
import base64
import contextlib
import http.client
import json
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import bcrypt
import trustme
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

ONE_ADDRESS = "one address"
"""The key of scenarios whose attackers have the scrapers' address; those of others have thousands of addresses."""

PATHS = ("/metrics", "/sd", "/-/healthy")
"""What is scraped, all at the same time."""

ALL = {"slow": 1000, "reader": 200, "guesser": 60, "explainer": 24, "sharder": 24}

SCENARIOS: dict[str, dict[str, int]] = {
    "nobody attacks": {},
    "1,000 sockets that send a byte a second": {"slow": 1000},
    "200 readers that take a byte a second": {"reader": 200},
    "60 password guessers": {"guesser": 60},
    "24 floods of explanations": {"explainer": 24},
    "24 floods of shards": {"sharder": 24},
    "slow sockets, guessers and explanations": {"slow": 1000, "guesser": 60, "explainer": 24},
    "all of them": ALL,
    "all of them, from the scrapers' address": ALL | {ONE_ADDRESS: 1},
}


@dataclass
class Outcome:
    """The measurements of one scenario, in seconds."""

    scrapes: dict[str, list[float]] = field(default_factory=lambda: {path: [] for path in PATHS})
    changes: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    resets: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether all limits are met."""
        slowest = max(_percentile(times, 99) for times in self.scrapes.values())
        return not (self.failures or self.resets) and slowest < LONGEST_SCRAPE and max(self.changes) < LONGEST_CHANGE

    def row(self, name: str) -> str:
        """Return a row of the table."""
        cells = [
            f"{1000 * _percentile(times, 50):.0f} / {1000 * _percentile(times, 99):.0f} ms"
            for times in self.scrapes.values()
        ]
        counts = f"{len(self.resets)} | {len(self.failures)}"
        return f"| {' | '.join([name, *cells])} | {max(self.changes):.1f} s | {counts} |"


def main() -> int:
    """Run the scenarios; return the exit status."""
    parser = argparse.ArgumentParser("script/bench attack", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="how long each lasts (default: 20)")
    parser.add_argument("--targets", type=int, default=5000, help="how many targets there are (default: 5000)")
    parser.add_argument("--tls", action="store_true", help="whether the listener speaks TLS")
    parser.add_argument("--only", default="", help="a part of the names of the scenarios to run (default: all)")
    arguments = parser.parse_args()
    columns = [*(f"`{path}`, p50 / p99" for path in PATHS), "slowest change", "resets", "other failures"]
    print(f"| | {' | '.join(columns)} |\n|---|{'---:|' * len(columns)}")
    good = True
    targets = (f"backend-{number}" for number in range(arguments.targets))
    with control_plane(*targets) as kuma, _daemon(kuma, tls=arguments.tls) as daemon:
        # Returning scrapers: the daemon has their password in the cache.
        _scraped(daemon, PATHS[0], Outcome())
        for name, attackers in SCENARIOS.items():
            if arguments.only not in name:
                continue
            with _attacked(daemon, attackers):
                outcome = _measured(daemon, kuma.world, arguments.seconds)
            print(outcome.row(name), flush=True)
            for failure in (outcome.resets + outcome.failures)[:3]:
                print(failure, file=sys.stderr)
            good = good and outcome.is_good
    return not good


@dataclass(frozen=True)
class Daemon:
    """A daemon under attack."""

    process: Process
    port: int
    path: Path
    trust: ssl.SSLContext | None

    def connect(self) -> http.client.HTTPConnection:
        """Return a new connection of a scraper."""
        if self.trust:
            return http.client.HTTPSConnection("localhost", self.port, timeout=15, context=self.trust)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)


@contextlib.contextmanager
def _daemon(kuma: SimulatedControlPlane[World], *, tls: bool) -> Iterator[Daemon]:
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        users = {"prometheus": bcrypt.hashpw(b"right", bcrypt.gensalt(10)).decode()}
        config: dict[str, object] = {"basic_auth_users": users}
        if tls:
            config["tls_server_config"] = {"cert_file": "cert.pem", "key_file": "key.pem"}
        (folder / "web.yml").write_text(json.dumps(config))
        flags = [
            f"--cp-address={kuma.url}",
            "--output=file_sd",
            "--output=http_sd",
            f"--web-config-file={folder}/web.yml",
        ]
        flags += [f"--file-sd-path={folder}/targets.json", f"--web-listen-address=127.0.0.1:{port}"]
        trust = _trusted(folder) if tls else None
        with kuma_sd("run", *flags) as process:
            process.wait_for_line("published")
            yield Daemon(process, port, folder / "targets.json", trust)


def _trusted(folder: Path) -> ssl.SSLContext:
    """Write a certificate; return a context that trusts it."""
    authority, context = trustme.CA(), ssl.create_default_context()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    authority.configure_trust(context)
    return context


@contextlib.contextmanager
def _attacked(daemon: Daemon, attackers: dict[str, int]) -> Iterator[None]:
    where = "one" if ONE_ADDRESS in attackers else "many"
    scheme = "https" if daemon.trust else "http"
    with contextlib.ExitStack() as stack:
        for kind, count in attackers.items():
            if kind == ONE_ADDRESS:
                continue
            # Attackers are other machines: their CPU time is not to be taken from the daemon.
            command = ["nice", "-n", "19", sys.executable, str(ATTACKERS), kind, str(count), str(daemon.port)]
            process = stack.enter_context(subprocess.Popen([*command, CREDENTIALS, where, scheme]))  # noqa: S603 (our own)
            stack.callback(process.kill)
        # Wait until all attackers are running.
        time.sleep(3 if attackers else 0)
        yield


def _measured(daemon: Daemon, world: World, seconds: float) -> Outcome:
    outcome, ending = Outcome(), threading.Event()
    threads = [threading.Thread(target=_change, args=(daemon.path, world, outcome, ending))]
    threads += [threading.Thread(target=_scrape, args=(daemon, path, outcome, ending)) for path in outcome.scrapes]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    ending.set()
    for thread in threads:
        thread.join()
    return outcome


def _scrape(daemon: Daemon, path: str, outcome: Outcome, ending: threading.Event) -> None:
    while not ending.wait(0.1):
        outcome.scrapes[path].append(_scraped(daemon, path, outcome))


def _scraped(daemon: Daemon, path: str, outcome: Outcome) -> float:
    begun = time.monotonic()
    with contextlib.closing(daemon.connect()) as client:
        try:
            client.request("GET", path, headers={"Authorization": f"Basic {CREDENTIALS}"})
            answer = client.getresponse()
            answer.read()
            if answer.status != HTTPStatus.OK:
                outcome.failures.append(f"{path}: {answer.status}")
        except (ConnectionError, ssl.SSLEOFError) as error:
            outcome.resets.append(f"{path}: {error}")
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
