"""Simulate a control plane that is down for a long time, or hangs."""

import random
import signal
import threading
import time
from itertools import pairwise
from pathlib import Path

from allowance import allowed
from daemon_process import kuma_sd
from findings import Outcome
from processes import Process
from reader import ALWAYS, published, reading
from relay import relaying
from simulated import simulating
from waiting import eventually
from watching import watched_if_long

WORLD = {("default", f"backend-{number}"): "v1" for number in range(20)}
NAMES = [name for _, name in WORLD]
CHANGED = {**WORLD, ("default", "new"): "v1"}

SAME_ATTEMPT = 0.2
"""Connections closer together, in seconds, are the protocols of one attempt; the shortest wait between two is 0.25."""


def dead(folder: Path, _rng: random.Random, *, short: bool) -> Outcome:
    """Refuse every connection for a minute."""
    seconds = 10.0 if short else 60.0
    outcome = Outcome(f"the control plane is dead for {seconds:g} s", 1)
    path = folder / "published" / "targets.json"
    with simulating(WORLD) as plane, relaying() as relay, reading(path) as reader:
        relay.port = plane.port
        with (
            kuma_sd("run", f"--cp-address={relay.url}", f"--output-file={path}") as daemon,
            watched_if_long(outcome, path, NAMES, short=short),
        ):
            daemon.wait_for_line("published")
            reader.require(dict.fromkeys(WORLD, ALWAYS))
            before = len(relay.accepted)
            plane.kill()
            died = time.monotonic()
            threading.Event().wait(seconds)
            attempts = _attempts(relay.accepted[before:])
            plane.start(CHANGED)
            _recover(outcome, path, died)
            said = _stop(daemon)
    outcome.lost += len(reader.lost)
    outcome.expect(attempts < seconds, f"{attempts} attempts in {seconds:g} s")
    outcome.expect(said.count("trying again") == 1, f"{said.count('trying again')} lines said that it was lost")
    outcome.expect(said.count('msg="connected"') == 2, "its return was not said once")  # noqa: PLR2004 (at start and now)
    outcome.remarks.append(f"{attempts} attempts; 1 line when it went, 1 when it came back")
    return outcome


def frozen(folder: Path, _rng: random.Random, *, short: bool) -> Outcome:
    """Stop the control plane's process for longer than the keepalive timeout."""
    seconds = 3.0 if short else 45.0
    outcome = Outcome(f"the control plane is frozen for {seconds:g} s", 1)
    path = folder / "published" / "targets.json"
    with simulating(WORLD) as plane, reading(path) as reader:
        url = f"grpc://127.0.0.1:{plane.port}"
        with (
            kuma_sd("run", f"--cp-address={url}", f"--output-file={path}") as daemon,
            watched_if_long(outcome, path, NAMES, short=short),
        ):
            daemon.wait_for_line("published")
            reader.require(dict.fromkeys(WORLD, ALWAYS))
            plane.signal(signal.SIGSTOP)
            died = time.monotonic()
            plane.serve(CHANGED)
            threading.Event().wait(seconds)
            plane.signal(signal.SIGCONT)
            _recover(outcome, path, died)
            said = _stop(daemon)
    noticed = said.count("trying again")
    outcome.lost += len(reader.lost)
    outcome.expect(noticed == (0 if short else 1), f"{noticed} lines said that it was lost")
    outcome.remarks.append("noticed by the keepalive, logged once" if noticed else "too short to be noticed")
    return outcome


def _recover(outcome: Outcome, path: Path, died: float) -> None:
    back = time.monotonic()
    limit = allowed(back - died)
    eventually(lambda: published(path) == CHANGED, "the file is right again")
    took = time.monotonic() - back
    outcome.recovered(took)
    outcome.expect(took <= limit, f"it took {took:.1f} s, more than the back-off allows: {limit:.1f} s")


def _attempts(connections: list[float]) -> int:
    times = [float("-inf"), *connections]
    return sum(after - before > SAME_ATTEMPT for before, after in pairwise(times))


def _stop(daemon: Process) -> str:
    daemon.stop()
    return daemon.output
