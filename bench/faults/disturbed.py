"""A control plane, its network and the daemon disturbed in all ways, in random orders, against the guard's rules."""

import contextlib
import random
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from findings import Outcome
from operated import operated
from operations import OPERATIONS
from reader import published, reading
from relay import garbage, relaying
from simulated import simulating
from story import BEACON, EDGE, HOLD, PASSING, SMALL, STABLE, WORLD, Story
from waiting import eventually
from watching import watched

from kuma_sd.pipeline.contact_loss import ONE_BACK_OFF_SECONDS
from kuma_sd.proto.discovery_pb2 import DiscoveryResponse
from kuma_sd.simulator import Dataplane
from kuma_sd.simulator.encoders import GrpcV1

AT_ONCE = 6
"""How many orders run beside each other; they mostly wait."""


def restarted_full(story: Story) -> None:
    """Kill it; it comes back with its store."""
    with story.disturbance():
        story.plane.kill()
        story.wait(0.0, 1.0)
        story.plane.start(story.change())


def restarted_empty(story: Story) -> None:
    """Kill it; it comes back with an empty store, which fills up bit by bit."""
    with story.disturbance():
        story.plane.kill()
        story.wait(0.0, 0.5)
        story.plane.start(story.change(*WORLD.keys() - {BEACON}))
    story.serve(*[key for key in WORLD if key != BEACON and story.rng.random() < 0.5])  # noqa: PLR2004 (half of them)
    story.serve()


def restarted_smaller(story: Story) -> None:
    """Kill it; it comes back without some targets, which are really gone."""
    with story.disturbance():
        story.plane.kill()
        # A connection that is away for at most one back-off does not end the contact: nothing would be held.
        story.wait(ONE_BACK_OFF_SECONDS + EDGE, ONE_BACK_OFF_SECONDS + 2 * EDGE)
        story.plane.start(story.change(*PASSING))
    story.calm()
    story.serve()


def frozen(story: Story) -> None:
    """Stop its process for a while."""
    with story.disturbance():
        story.plane.signal(signal.SIGSTOP)
        story.plane.serve(story.change())
        story.wait(0.2, 2.0)
        story.plane.signal(signal.SIGCONT)


def cut(story: Story) -> None:
    """Cut the connection within a message."""
    with story.disturbance():
        story.relay.cut_after = story.rng.randint(1, 3000)
        story.plane.serve(story.change())
        story.wait(0.1, 0.5)
        story.relay.cut_after = None


def slowed(story: Story) -> None:
    """Slow the network down to 1 KiB a second, over a new connection."""
    with story.disturbance():
        story.relay.rate = 1024
        story.relay.cut()
        story.plane.serve(story.change())
        story.wait(1.0, 3.0)
        story.relay.rate = None


def garbled(story: Story) -> None:
    """Have something else answer at its address."""
    with story.disturbance():
        story.relay.answer = story.rng.choice([garbage(), b"", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"])
        story.relay.cut()
        story.plane.serve(story.change())
        story.wait(0.3, 1.5)
        story.relay.answer = None


def confused(story: Story) -> None:
    """Have it send what is no response, or one that lacks nearly everything and is understood in part only."""
    with story.disturbance():
        story.plane.send(story.rng.choice([garbage(), _half_understood(story.world[BEACON])]))
        story.wait(0.0, 0.3)
        story.plane.serve(story.change())


def shrunk(story: Story) -> None:
    """Remove a few targets while nothing else changes; they must vanish at once."""
    story.calm()
    story.serve(*story.rng.sample(PASSING, 2))
    story.calm()
    story.serve()


def without_a_mesh(story: Story) -> None:
    """Remove a whole mesh while nothing else changes, and restore it."""
    story.calm()
    story.serve(*SMALL)
    story.wait(0.0, 1.0)
    story.serve()


STEPS: list[Callable[[Story], None]] = [
    *(restarted_full, restarted_empty, restarted_smaller, frozen, cut, slowed, garbled, confused),
    *(shrunk, without_a_mesh),
    *OPERATIONS,
]


def disturbed(folder: Path, rng: random.Random, *, short: bool) -> Outcome:
    """Do all of it, in random orders."""
    orders = [rng.sample(STEPS, len(STEPS)) for _ in range(5 if short else 72)]
    what = f"the control plane, its network or the daemon is disturbed in {len(STEPS)} ways, in random order"
    outcome = Outcome(what, len(orders))
    files = folder / "published" / "*.json"
    with watched(outcome, files, [name for _, name in STABLE]), ThreadPoolExecutor(AT_ONCE) as pool:
        for number, order in enumerate(orders):
            pool.submit(_order, outcome, files.with_name(f"{number}.json"), order, random.Random(rng.random()))  # noqa: S311 (guards no secret)
    steps = sum(map(len, orders))
    outcome.remarks.insert(0, f"{steps} disturbances, each compared with the model")
    return outcome


def _order(outcome: Outcome, path: Path, order: list[Callable[[Story], None]], rng: random.Random) -> None:
    step = "the start"
    try:
        with contextlib.ExitStack() as stack:
            plane, relay = stack.enter_context(simulating(WORLD)), stack.enter_context(relaying())
            relay.port = plane.port
            own = path.parent.parent / path.stem
            daemon = stack.enter_context(operated(own, path, relay.url, HOLD))
            reader = stack.enter_context(reading(path))
            eventually(lambda: published(path), "the first publication")
            story = Story(plane, relay, daemon, reader, path, rng, outcome)
            story.begin()
            for each in order:
                step = each.__name__
                each(story)
            daemon.stop()
            outcome.lost += len(reader.lost)
            outcome.expect(not reader.lost, f"{path.name}: lost {sorted(reader.lost)}")
            outcome.expect(not reader.unreadable + reader.absent, f"{path.name} was not always whole")
    except Exception as error:  # noqa: BLE001 (reported with its place)
        names = ", ".join(each.__name__ for each in order)
        problem = f"{path.name}, {step} in {names}: {type(error).__name__}: {error}"
        outcome.problems.append(" ".join(problem.split()))


def _half_understood(version: str) -> bytes:
    """Return a response with the beacon, which is understood, and an assignment that is not."""
    mesh, name = BEACON
    format_ = GrpcV1()
    resource = format_.resource(Dataplane(name, mesh, version))
    response = DiscoveryResponse.FromString(format_.response("x", "x", [resource]))
    response.resources.add(type_url=format_.type_url, value=b"\xff")
    return response.SerializeToString()
