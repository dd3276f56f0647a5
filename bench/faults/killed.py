"""kill -9 of the daemon at random moments."""

import contextlib
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from background import in_background
from daemon_process import kuma_sd
from findings import Outcome
from processes import Process
from reader import ALWAYS, Published, published, reading
from waiting import eventually
from watching import watched

from kuma_sd.mads.codecs.v1 import V1_PROTOBUF
from kuma_sd.simulator import Dataplane, SimulatedControlPlane, World
from kuma_sd.state import snapshot_file

TARGETS = 500

LONGEST_LIFE = 1.5
"""How long the daemon may live, in seconds: it has its first publication after half a second or so."""


def killed(folder: Path, rng: random.Random, *, short: bool) -> Outcome:
    """Kill the daemon again and again while targets change, and read its file all the time."""
    times = 15 if short else 200
    outcome = Outcome("kill -9 of the daemon at a random moment", times)
    path = folder / "published" / "targets.json"
    names = [f"backend-{number:03}" for number in range(TARGETS)]
    world = World(Dataplane(name) for name in names)
    with (
        SimulatedControlPlane(world, refresh=0) as kuma,
        watched(outcome, path, names) if not short else contextlib.nullcontext(),
        reading(path) as reader,
    ):
        run = ("run", f"--cp-address={kuma.url}", f"--output-file={path}", f"--state-dir={folder}/state")
        saved = 0
        with _changing(world, rng):
            for _ in range(times):
                with kuma_sd(*run, "--min-interval=0") as daemon:
                    if not reader.reads:
                        daemon.wait_for_line("published")
                        reader.require(dict.fromkeys((("default", name) for name in names), ALWAYS))
                    _kill_within(daemon, rng.uniform(0, LONGEST_LIFE))
                saved += _saved(folder / "state", outcome)
                outcome.expect("nothing is restored" not in daemon.output, "a state file could not be read")
        started = time.monotonic()
        with kuma_sd(*run) as daemon:
            # The file may be right before the daemon has begun, which then would not know SIGTERM yet.
            daemon.wait_for_line("published")
            eventually(lambda: published(path) == _served(world), "the file is right after the last start")
            outcome.recovered(time.monotonic() - started)
            daemon.stop()
    outcome.lost += len(reader.lost)
    outcome.expect(not reader.unreadable, f"{reader.unreadable} reads were of a file that was not whole")
    outcome.expect(not reader.empty, f"{reader.empty} reads were of an empty list")
    outcome.expect(not reader.absent, f"{reader.absent} times the file was not there")
    outcome.expect(saved, "no state was ever saved")
    left = len(list(path.parent.glob(".kuma-sd/*.tmp")))
    outcome.expect(not left, f"{left} temporary files were left after the last start")
    reads = f"{reader.reads} reads of the file: {reader.unreadable} incomplete, {reader.empty} empty"
    outcome.remarks.insert(0, f"{reads}; state read back {saved} times")
    return outcome


def _kill_within(daemon: Process, seconds: float) -> None:
    threading.Event().wait(seconds)
    daemon.signal(signal.SIGKILL)
    daemon.wait()


def _served(world: World) -> Published:
    return {dataplane.key: dataplane.service for dataplane in world.dataplanes}


def _saved(state: Path, outcome: Outcome) -> int:
    """Read back what was saved; returns how many files there were."""
    found = 0
    for path in state.glob("*.snapshot"):
        found += 1
        with path.open("rb") as file:
            try:
                snapshot = snapshot_file.read(file, path.stem, "", lambda _name: V1_PROTOBUF)
            except ValueError as error:
                outcome.problems.append(f"a state file {error}")
            else:
                outcome.expect(len(snapshot.assignments) >= TARGETS, "a state file lacks targets")
    outcome.expect(not list(state.glob("*.bad-*")), "a state file was set aside")
    return found


@contextlib.contextmanager
def _changing(world: World, rng: random.Random) -> Iterator[None]:
    """Alter a target every few milliseconds while the block runs; none is removed."""
    closing = threading.Event()

    def change() -> None:
        version = 0
        while not closing.wait(0.02):
            version += 1
            world.alter(f"backend-{rng.randrange(TARGETS):03}", service=f"v{version}")

    with in_background(change, closing.set):
        yield
