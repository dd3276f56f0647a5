"""Events that come at once, from threads of their own with delays at each hand-over: the result is one of an order."""

import itertools
import random
import threading
import time
from collections.abc import Callable, Sequence

import pytest
from pipeline_kit import Line, names
from waiting import eventually

from kuma_sd.core.mailbox import Mailbox
from kuma_sd.core.model import ContactLost
from kuma_sd.pipeline.messages import Configuration, Message
from kuma_sd.system.threads import Threads
from kuma_sd.testing import snapshot

Event = Callable[[Line], None]

MANY = [f"a{number}" for number in range(10)]


class DelayedMailbox(Mailbox[Message]):
    """A mailbox at which everybody is delayed a little."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        self._dice = dice

    def put(self, sender: object, item: Message) -> None:
        time.sleep(self._dice.uniform(0, 0.002))
        super().put(sender, item)

    def take(self, timeout: float | None = None) -> dict[object, Message]:
        taken = super().take(timeout)
        time.sleep(self._dice.uniform(0, 0.002))
        return taken


def reloaded(line: Line, **names_of: str) -> None:
    """Reload with other names; each keeps its endpoint."""
    configs = [line.config(names_of.get(config.name, config.name), *config.endpoints) for config in line.configs]
    line.pipeline.configure_soon(Configuration(configs, [line.new_chain_outputs()], line.start_wait))


def told(name: str, *targets: str) -> Event:
    def tell(line: Line) -> None:
        source = next(config.source for config in line.configs if config.name == name)
        line.pipeline.receiver(source)(snapshot(*targets, control_plane=name))

    return tell


def lost(name: str) -> Event:
    def tell(line: Line) -> None:
        source = next(config.source for config in line.configs if config.name == name)
        line.pipeline.receiver(source)(ContactLost(name, time.monotonic()))

    return tell


EVENTS: dict[str, Event] = {
    "east loses most": told("east", "a0"),
    "east is empty": told("east"),
    "west has more": told("west", *MANY, "b"),
    "west is lost": lost("west"),
    "all is accepted": lambda line: line.pipeline.accept_soon(None),
    "east is accepted": lambda line: line.pipeline.accept_soon("east"),
    "west is renamed": lambda line: reloaded(line, west="south"),
    "names are swapped": lambda line: reloaded(line, west="east", east="west"),
}


def begun() -> Line:
    line = Line("east", "west", hold=1000.0)
    both = snapshot(*MANY, control_plane="east"), snapshot(*MANY, control_plane="west")
    line.step(*both, now=time.monotonic())
    return line


def outcome(line: Line) -> tuple[str, ...]:
    last = line.pipeline.chains[0].last
    assert last
    return tuple(names(last))


def in_order(events: Sequence[Event]) -> tuple[str, ...]:
    line = begun()
    for event in events:
        event(line)
        line.pipeline.step(line.pipeline.mailbox.take(0).values(), time.monotonic())
    return outcome(line)


def at_once(events: Sequence[Event], dice: random.Random) -> tuple[str, ...]:
    line, threads = begun(), Threads()
    line.pipeline.mailbox = DelayedMailbox(dice)
    threads.start("pipeline", line.pipeline)
    barrier = threading.Barrier(len(events))

    def tell(event: Event, pause: float) -> None:
        barrier.wait()
        time.sleep(pause)
        event(line)

    tellers = [threading.Thread(target=tell, args=(event, dice.uniform(0, 0.003))) for event in events]
    for teller in tellers:
        teller.start()
    for teller in tellers:
        teller.join()
    told_at = time.monotonic()
    line.pipeline.accept_soon("nobody")
    eventually(lambda: line.pipeline.status.beat > told_at, "the pipeline took everything")
    assert threads.stop(timeout=5) == []
    assert threads.failure is None
    return outcome(line)


@pytest.mark.parametrize("seed", range(60))
def test_what_comes_at_once_ends_as_in_some_order(seed: int) -> None:
    dice = random.Random(seed)
    chosen = dice.sample(sorted(EVENTS), dice.randint(2, 4))
    events = [EVENTS[name] for name in chosen]
    possible = {in_order(order) for order in itertools.permutations(events)}
    assert at_once(events, dice) in possible, chosen
