"""Whatever the API does, what is there all the time is never missing, and a calm poll says what is there."""

import email.message
import json
import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from recorded_api import poller

from kuma_sd import SourceError
from kuma_sd.simulator import Dataplane, World, kuma
from kuma_sd.simulator.api.answers import ApiAnswers
from kuma_sd.simulator.http_server import ServerRequest
from kuma_sd_bundled.kuma_api.errors import DeletedError

STAYS = [f"stays-{number:02}" for number in range(40)]
POLLS = 60


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kuma_sd_bundled.kuma_api.lists.PAGE_SIZE", 7)
    monkeypatch.setattr("kuma_sd_bundled.kuma_api.lists.OVERLAPS", (2, 3))


class FaultyApi:
    """The API of a world that changes at any moment, behind something that breaks answers."""

    def __init__(self, version: str, chance: random.Random) -> None:
        self.chance = chance
        self.world = World([self.dataplane(name) for name in STAYS])
        self.answers = ApiAnswers(self.world, kuma(version), list)
        self.faults = 0.0
        self.changes = 0.0
        self.numbers: Iterator[int] = iter(range(10**9))

    def dataplane(self, name: str) -> Dataplane:
        path = self.chance.choice(["/metrics", "/metrics", "/own"])
        return Dataplane(name, address="127.1.0.1:5670", metrics_path=path)

    def __call__(self, path: str) -> bytes:
        while self.chance.random() < self.changes:
            self.change()
        parts = urlsplit(path)
        response = self.answers(ServerRequest("GET", parts.path, parts.query, email.message.Message(), b""))
        if response is None or response.status == 404:
            raise DeletedError(path)
        body = b"".join(response.body)
        return self.broken(body) if self.chance.random() < self.faults else body

    def change(self) -> None:
        """Add or remove a dataplane anywhere between those that stay."""
        passing = [key[1] for key in (dataplane.key for dataplane in self.world.dataplanes) if "+" in key[1]]
        if passing and self.chance.random() < 0.5:
            self.world.remove(self.chance.choice(passing))
        else:
            self.world.add(self.dataplane(f"{self.chance.choice(STAYS)}+{next(self.numbers)}"))

    def broken(self, body: bytes) -> bytes:
        """Break an answer in a way that can be noticed."""
        document: dict[str, Any] = json.loads(body)
        items = document.get("items")
        kind = self.chance.randrange(6)
        if kind == 0:
            raise SourceError("no answer")
        if kind == 1:
            return body[: len(body) // 2]
        if items and kind == 2:
            del items[self.chance.randrange(len(items))]
        elif items and kind == 3:
            items.append(items[0])
        elif items and kind == 4:
            del self.chance.choice(items)["name"]
        elif items:
            document["total"] += self.chance.choice([-1, 1])
        return json.dumps(document).encode()

    @property
    def present(self) -> set[str]:
        return {dataplane.name for dataplane in self.world.dataplanes}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("version", ["2.14.3", "3.0"])
def test_whatever_the_api_does_nothing_that_stays_is_missing(version: str, seed: int) -> None:
    chance = random.Random(seed)
    api, polling = FaultyApi(version, chance), poller()
    fresh = True
    for _ in range(POLLS):
        if chance.random() < 0.1:
            # As after a restart: then nothing is known that must be in the lists.
            polling, fresh = poller(), True
        api.faults, api.changes = chance.choice([0.0, 0.05, 0.3]), chance.choice([0.0, 0.2, 0.7])
        try:
            found = polling.poll(api)
        except SourceError:
            continue
        fresh = fresh and bool(found.doubts or found.unreadable)
        if fresh:
            continue
        names = {assignment.key.name for assignment in found.assignments}
        assert names.issuperset(STAYS), sorted(set(STAYS) - names)
        paths = {assignment.key.name: assignment.read().metrics_path for assignment in found.assignments}
        for dataplane in api.world.dataplanes:
            if dataplane.name in STAYS:
                assert paths[dataplane.name] == dataplane.metrics_path
        if not (api.faults or api.changes):
            assert (names, found.doubts) == (api.present, ())


def test_in_the_end_everything_that_is_gone_is_let_go() -> None:
    api, polling = FaultyApi("3.0", random.Random(1)), poller()
    api.changes = 0.7
    for _ in range(20):
        polling.poll(api)
    api.changes = 0.0
    found = polling.poll(api)
    assert {assignment.key.name for assignment in found.assignments} == api.present
