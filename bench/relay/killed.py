"""Kill Redis, the leading publisher and an edge with SIGKILL at random moments."""

import contextlib
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import reader
from background import in_background
from findings import Outcome
from fleet import Fleet, Member
from reader import ALWAYS, Reader, published, reading
from redis_server import RedisServer, running
from waiting import eventually

from kuma_sd.simulator import Dataplane, SimulatedControlPlane, World
from kuma_sd_redis.layout import bucket_of

# Three files are read all the time, beside five processes.
reader.PAUSE = 0.02

TARGETS = 200

ALLOWED = 16.0
"""How long all may take to be equal and right, in seconds: 15, and guard-hold, which is 1 here."""


def killed(folder: Path, rng: random.Random, rounds: int, lease: str, *, persistent: bool) -> Outcome:
    """Kill one of them in each round while targets change; check that all edges recover in time."""
    kept = "with" if persistent else "without"
    outcome = Outcome(f"kill -9 of Redis {kept} persistence, of the leader, of an edge, at random", rounds)
    world = World(Dataplane(f"backend-{number:03}") for number in range(TARGETS))
    server = RedisServer(folder / "redis", persistent=persistent)
    with SimulatedControlPlane(world, refresh=0) as kuma, running(server):
        fleet = Fleet(folder, kuma.url, server, publishers=2, edges=["", "", "?shard=1&of=2"], lease=lease)
        with fleet.running(), contextlib.ExitStack() as readers:
            _wait(fleet, world)
            looks = [readers.enter_context(reading(edge.file)) for edge in fleet.edges]
            for look, edge in zip(looks, fleet.edges, strict=True):
                look.require(dict.fromkeys(published(edge.file), ALWAYS))
            counts: dict[str, int] = {}
            for _ in range(rounds):
                what = _round(fleet, world, rng, outcome)
                counts[what] = counts.get(what, 0) + 1
            _judge(outcome, looks)
    outcome.remarks.append(", ".join(f"{count} of {what}" for what, count in sorted(counts.items())))
    return outcome


def stopped(folder: Path, seconds: float, lease: str) -> Outcome:
    """Stop the leader's process for longer than its lease, then continue it."""
    outcome = Outcome(f"the leader is stopped for {seconds:g} s and continued", 1)
    world = World(Dataplane(f"backend-{number:03}") for number in range(TARGETS))
    server = RedisServer(folder / "redis")
    with SimulatedControlPlane(world, refresh=0) as kuma, running(server):
        fleet = Fleet(folder, kuma.url, server, publishers=2, edges=[""], lease=lease)
        with fleet.running():
            _wait(fleet, world)
            old = fleet.leader()
            assert old
            assert old.process
            with _changing(world, random.Random(1)):  # noqa: S311 (an order, no secret)
                old.process.signal(signal.SIGSTOP)
                began = time.monotonic()
                eventually(lambda: fleet.leader() not in (old, None), "the other leads")
                outcome.recovered(time.monotonic() - began)
                threading.Event().wait(max(0.0, began + seconds - time.monotonic()))
                old.process.signal(signal.SIGCONT)
                old.process.wait_for_line("stands by")
                threading.Event().wait(1.0)
                outcome.expect(fleet.leader() is not old, "the stopped leader leads again")
            _wait(fleet, world)
            refused = "refused" in old.process.output
    outcome.remarks.append("its write was refused" if refused else "it saw that its lease was over before it wrote")
    return outcome


def _round(fleet: Fleet, world: World, rng: random.Random, outcome: Outcome) -> str:
    what: str = rng.choice(["Redis", "the leader", "an edge"])
    with _changing(world, rng):
        _pause(rng.uniform(0, 1.5))
        victim = _victim(fleet, what, rng)
        victim.kill()
        _pause(rng.uniform(0, 2.0))
        victim.start()
        back = time.monotonic()
    took = _wait(fleet, world) - back
    outcome.recovered(took)
    outcome.expect(took <= ALLOWED, f"after {what} was killed it took {took:.1f} s")
    return what


def _victim(fleet: Fleet, what: str, rng: random.Random) -> Member | RedisServer:
    if what == "Redis":
        return fleet.server
    if what == "an edge":
        return rng.choice(fleet.edges)
    eventually(fleet.leader, "a publisher is the leader")
    return fleet.leader() or fleet.publishers[0]


def _wait(fleet: Fleet, world: World) -> float:
    """Wait until all edges are right; returns when they were."""
    halves = fleet.edges[2:]

    def right() -> bool:
        wanted = {dataplane.key: dataplane.service for dataplane in world.dataplanes}
        return all(
            _part(published(edge.file), wanted) if edge in halves else published(edge.file) == wanted
            for edge in fleet.edges
        )

    eventually(right, "all edges are right")
    return time.monotonic()


def _part(found: dict[tuple[str, str], str], wanted: dict[tuple[str, str], str]) -> bool:
    """Tell whether a shard's file has what its buckets hold."""
    return found == {key: service for key, service in wanted.items() if bucket_of(f"/{key[0]}/{key[1]}/0/0") % 2 == 1}


def _judge(outcome: Outcome, looks: list[Reader]) -> None:
    outcome.lost = sum(len(look.lost) for look in looks)
    outcome.expect(not any(look.empty for look in looks), "an edge published nothing")
    outcome.expect(not any(look.unreadable for look in looks), "a file was not whole")
    outcome.remarks.append(f"{sum(look.reads for look in looks)} reads of the edges' files")


@contextlib.contextmanager
def _changing(world: World, rng: random.Random) -> Iterator[None]:
    """Alter a target every few milliseconds while the block runs, and let others come and go."""
    closing, seed = threading.Event(), random.Random(rng.random())  # noqa: S311 (an order, no secret)

    def change() -> None:
        while not closing.wait(0.05):
            world.alter(f"backend-{seed.randrange(TARGETS):03}", service=f"v{seed.randrange(10**6)}")
            name = f"web-{seed.randrange(20)}"
            if ("default", name) in {dataplane.key for dataplane in world.dataplanes}:
                world.remove(name)
            else:
                world.add(Dataplane(name))

    with in_background(change, closing.set):
        yield


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)
