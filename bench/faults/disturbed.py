"""A control plane and its network disturbed in all ways, in random orders, against a model of the guard's rules."""

import contextlib
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

from allowance import SLACK, STEADY_SECONDS, allowed
from findings import Outcome
from guard_model import Model, World
from processes import Process, eventually, kuma_sd
from reader import ALWAYS, Key, Published, Reader, published, reading
from relay import Relay, garbage, relaying
from simulated import Simulated, simulating
from watching import watched

from kuma_sd.pipeline.source_worker import ONE_BACK_OFF_SECONDS
from kuma_sd.proto.discovery_pb2 import DiscoveryResponse
from kuma_sd.simulator import Dataplane
from kuma_sd.simulator.encoders import GrpcV1

HOLD = 4.0
EDGE = 0.5
"""Nothing that the guard decides on happens closer than this to the end of a hold, where both answers are right."""

BEACON = ("big", "beacon")
STABLE: list[Key] = [("big", f"b{number:02}") for number in range(20)]
SMALL: list[Key] = [("small", f"s{number}") for number in range(5)]
PASSING: list[Key] = [("big", f"passing{number}") for number in range(6)]
WORLD: Published = dict.fromkeys((BEACON, *STABLE, *SMALL, *PASSING), "v0")

AT_ONCE = 6
"""How many orders run beside each other; they mostly wait."""


class Story:
    """One daemon, one control plane, and what happens between them.

    The model takes each state of the control plane when the file shows that it arrived: a beacon in it changes each
    time. Whatever is in the present state, or held, must be in the file all the time; the reader sees to that.
    """

    def __init__(  # noqa: PLR0913, PLR0917 (what a story needs)
        self, plane: Simulated, relay: Relay, reader: Reader, path: Path, rng: random.Random, outcome: Outcome
    ) -> None:
        self.plane = plane
        self.relay = relay
        self.rng = rng
        self.world = dict(WORLD)
        self._reader = reader
        self._path = path
        self._outcome = outcome
        self._version = 0
        self._model = Model(0.5, HOLD)
        self._departed: dict[Key, float] = {}
        self._pause = threading.Event()
        self._recovered = float("-inf")
        self._short = 0

    def begin(self) -> None:
        """Note the first state."""
        self._settle(time.monotonic() + 10.0)

    def change(self, *without: Key) -> Published:
        """Change the world: some targets, and the beacon; returns it.

        Args:
            *without: what is not there any more. All else is.
        """
        self._version += 1
        fresh = f"v{self._version}"
        present = [key for key in WORLD if key not in without]
        self.world = {key: self.world.get(key, fresh) for key in present}
        self.world |= dict.fromkeys(self.rng.sample(present, min(3, len(present))), fresh) | {BEACON: fresh}
        now = time.monotonic()
        self._departed = {key: self._departed.get(key, now) for key in without}
        # Targets that were released before stay gone; the model knows that.
        held = {key: since + HOLD for key, since in self._departed.items() if self._reader_has(key)}
        stays = {key: ALWAYS for key in self._model.published if key in self.world}
        self._reader.require(stays | (held if self.is_suspicious(without) else {}))
        return self.world

    def is_suspicious(self, without: tuple[Key, ...]) -> bool:
        """Whether the guard holds these: here it does if many are taken away, at once or soon after a contact began."""
        return len(without) > 2  # noqa: PLR2004 (calm() takes no more)

    @contextlib.contextmanager
    def disturbance(self) -> Iterator[None]:
        """Disturb while the block runs, then expect all to be right again."""
        began = time.monotonic()
        yield
        ended = time.monotonic()
        self._short = self._short + 1 if began - self._recovered < STEADY_SECONDS else 0
        self._settle(ended + allowed(ended - began, self._short))
        self._recovered = time.monotonic()
        self._outcome.recovered(self._recovered - ended)

    def serve(self, *without: Key) -> None:
        """Change the world over the present connection, and expect the file to follow."""
        self.plane.serve(self.change(*without))
        self._settle(time.monotonic() + 1.0 + SLACK)

    def wait(self, least: float, most: float) -> None:
        """Wait for a random time, in seconds."""
        self._pause.wait(self.rng.uniform(least, most))

    def calm(self) -> None:
        """Wait until the guard has nothing to hold against anything."""
        now = time.monotonic()
        ends = [self.relay.accepted[-1] + HOLD, *(since + HOLD for since in self._model.missing.values())]
        self._pause.wait(max(0.0, max(ends) + EDGE - now))
        self._expect_what_the_model_says()

    def _reader_has(self, key: Key) -> bool:
        return key in self._model.published

    def _settle(self, deadline: float) -> None:
        """Wait for the present state to arrive, and compare what is published with what the rules say."""
        version = self.world[BEACON]
        while published(self._path).get(BEACON) != version:
            assert time.monotonic() < deadline, f"{version} did not arrive within the back-off plus {SLACK:g} s"
            self._pause.wait(0.02)
        self._rules_say()
        self._expect_what_the_model_says()

    def _expect_what_the_model_says(self) -> None:
        deadline = time.monotonic() + SLACK
        while (there := published(self._path)) != (expected := self._rules_say()):
            wrong = sorted(f"{key[1]}: {there.get(key)}, not {expected.get(key)}" for key in there | expected)
            wrong = [line for line in wrong if line.split(": ")[1].split(", not ")[0] != line.split(", not ")[1]]
            assert time.monotonic() < deadline, f"not what the rules say: {wrong}"
            self._pause.wait(0.02)

    def _rules_say(self) -> Published:
        # To the model versions are numbers, and it does nothing with them.
        world = cast("World", self.world)
        admitted = self._model.admit(world, self.relay.accepted[-1], time.monotonic(), complete=True)
        return cast("Published", admitted)


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
]


def disturbed(folder: Path, rng: random.Random, *, short: bool) -> Outcome:
    """Do all of it, in random orders."""
    orders = [rng.sample(STEPS, len(STEPS)) for _ in range(5 if short else 100)]
    outcome = Outcome("the control plane or its network is disturbed in 10 ways, in random order", len(orders))
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
            run = ("run", f"--cp-address={relay.url}", f"--output-file={path}", f"--guard-hold={HOLD:g}s")
            daemon: Process = stack.enter_context(kuma_sd(*run, "--min-interval=100ms"))
            reader = stack.enter_context(reading(path))
            eventually(lambda: published(path), "the first publication")
            story = Story(plane, relay, reader, path, rng, outcome)
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
        outcome.problems.append(f"{path.name}, {step} in {names}: {type(error).__name__}: {error}")


def _half_understood(version: str) -> bytes:
    """Return a response with the beacon, which is understood, and an assignment that is not."""
    mesh, name = BEACON
    format_ = GrpcV1()
    resource = format_.resource(Dataplane(name, mesh, version))
    response = DiscoveryResponse.FromString(format_.response("x", "x", [resource]))
    response.resources.add(type_url=format_.type_url, value=b"\xff")
    return response.SerializeToString()
