"""One daemon, one control plane, and what happens between them, beside a model of the guard's rules."""

import contextlib
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from allowance import SLACK, STEADY_SECONDS, allowed
from findings import Outcome
from guard_model import Model, World
from operated import Operated
from reader import ALWAYS, Key, Published, Reader, published
from relay import Relay
from simulated import Simulated
from waiting import eventually

HOLD = 4.0
EDGE = 0.5
"""Nothing that the guard decides on happens closer than this to the end of a hold, where both answers are right."""

START_SECONDS = 10.0
"""How long it may take from the start until the first answer is published, in seconds."""

BEACON = ("big", "beacon")
STABLE: list[Key] = [("big", f"b{number:02}") for number in range(20)]
SMALL: list[Key] = [("small", f"s{number}") for number in range(5)]
PASSING: list[Key] = [("big", f"passing{number}") for number in range(6)]
WORLD: Published = dict.fromkeys((BEACON, *STABLE, *SMALL, *PASSING), "v0")


class Story:
    """One daemon, one control plane, and what happens between them.

    The model takes each state of the control plane when the file shows that it arrived: a beacon in it changes each
    time. Whatever is in the present state, or held, must be in the file all the time; the reader sees to that.
    """

    def __init__(  # noqa: PLR0913, PLR0917 (what a story needs)
        self,
        plane: Simulated,
        relay: Relay,
        daemon: Operated,
        reader: Reader,
        path: Path,
        rng: random.Random,
        outcome: Outcome,
    ) -> None:
        self.plane = plane
        self.daemon = daemon
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
        self._contact = (0.0, 0.0)
        self._short = 0

    def begin(self) -> None:
        """Wait for the first state after a start."""
        self._settle(time.monotonic() + START_SECONDS + SLACK)

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
        # What was let go before stays gone; the model knows that.
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
        ends = [self._contact_began() + HOLD, *(since + HOLD for since in self._model.missing.values())]
        self._pause.wait(max(0.0, max(ends) + EDGE - now))
        self._expect_what_the_model_says()

    def accept(self) -> None:
        """Let go of what is held, and expect that it is gone."""
        self._reader.require(dict.fromkeys(self.world, ALWAYS))
        self.daemon.accept()
        self._model.accept()
        self._expect_what_the_model_says()

    def rename(self) -> None:
        """Give the control plane another name, and wait for the connection that this makes."""
        before = len(self.relay.accepted)
        self.daemon.rename()
        eventually(lambda: len(self.relay.accepted) > before, "there is a connection under the new name")

    def restart(self, *without: Key) -> None:
        """Stop the daemon, change the world meanwhile, and start it again."""
        self.daemon.stop()
        self.plane.serve(self.change(*without))
        self.daemon.start()
        self.begin()

    def _contact_began(self) -> float:
        """Return when the contact over the newest connection began: with its first answer, which may come slowly."""
        accepted = self.relay.accepted[-1]
        if self._contact[0] != accepted:
            self._contact = (accepted, time.monotonic())
        return self._contact[1]

    def _reader_has(self, key: Key) -> bool:
        return key in self._model.published

    def _settle(self, deadline: float) -> None:
        """Wait for the present state to arrive, and compare what is published with what the rules say."""
        version, process = self.world[BEACON], self.daemon.process
        while published(self._path).get(BEACON) != version:
            in_time = time.monotonic() < deadline and not process.has_ended
            assert in_time, f"{version} did not arrive within the back-off plus {SLACK:g} s:\n{process.last_words}"
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
        admitted = self._model.admit(world, self._contact_began(), time.monotonic(), complete=True)
        return cast("Published", admitted)
