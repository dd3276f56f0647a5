"""Dataplanes come and go while lists are paged: what was there all the time is never missing, what is gone goes."""

import contextlib
import itertools
import random
import threading
from collections.abc import Iterator

import pytest
from background import in_background

from kuma_sd import Context, Snapshot, parse_url
from kuma_sd.simulator import ApiServer, Dataplane, SimulatedControlPlane, World, kuma
from kuma_sd_bundled.kuma_api.options import ApiOptions
from kuma_sd_bundled.kuma_api.source import ApiSource

CHANGES_A_SECOND = 200
STABLE = [f"stable-{number:04}" for number in range(0, 5000, 2)]


@contextlib.contextmanager
def churning(world: World) -> Iterator[None]:
    """Add and remove dataplanes that lie between the stable ones, so that every page shifts."""
    stop, numbers, chance = threading.Event(), itertools.count(), random.Random(1)

    def change() -> None:
        present: list[str] = []
        while not stop.wait(1 / CHANGES_A_SECOND):
            if len(present) > 200:
                world.remove(present.pop(chance.randrange(len(present))))
            else:
                present.append(f"stable-{chance.randrange(5000):04}-{next(numbers)}")
                world.add(Dataplane(present[-1], address="127.1.0.1:5670"))

    with in_background(change, stop.set):
        yield


@pytest.fixture(autouse=True)
def _little_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kuma_sd_bundled.kuma_api.schedule.REST", 1)


def names(snapshot: Snapshot) -> set[str]:
    return {assignment.key.name for assignment in snapshot.assignments}


@pytest.mark.parametrize("version", ["2.14.3", "3.0"])
def test_nothing_that_stays_is_missing_and_what_is_removed_is_gone_within_three_polls(version: str) -> None:
    world = World([Dataplane(name, address="127.1.0.1:5670") for name in [*STABLE, "removed-1"]])
    api = ApiServer()
    with SimulatedControlPlane(world, line=kuma(version), api=api), churning(world):
        source = ApiSource(ApiOptions(api_interval=0.01), Context("", address=parse_url(f"kuma-api+{api.url}")))
        polls = iter(source)
        removed = 0
        for poll in range(8):
            found = names(next(polls))
            assert found.issuperset(STABLE), f"poll {poll} lacks {sorted(set(STABLE) - found)[:5]}"
            if removed and poll - removed >= 3:
                assert "removed-1" not in found
            if poll == 2:
                assert "removed-1" in found
                world.remove("removed-1")
                removed = poll
        source.close()


def test_one_change_among_many_is_converted_alone() -> None:
    world = World([Dataplane(f"dp-{number:05}", address="127.1.0.1:5670") for number in range(3000)])
    api = ApiServer()
    with SimulatedControlPlane(world, line=kuma("3.0"), api=api):
        source = ApiSource(ApiOptions(api_interval=0.01), Context("", address=parse_url(f"kuma-api+{api.url}")))
        polls = iter(source)
        before = next(polls)
        assert source.counts.converted == 3000
        world.alter("dp-01234", address="127.1.0.2:5670")
        after = next(polls)
        source.close()
    assert source.counts.converted == 3001
    changed = [new for old, new in zip(before.assignments, after.assignments, strict=True) if old is not new]
    assert [assignment.key.name for assignment in changed] == ["dp-01234"]
