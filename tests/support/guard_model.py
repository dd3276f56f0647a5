"""A model of the guard's rules, written from their text without any of its tricks."""

from dataclasses import dataclass, field

from kuma_sd import Snapshot
from kuma_sd.testing import assignment, snapshot

MESHES = ("big", "small")
NAMES = [("big", f"b{number}") for number in range(12)] + [("small", f"s{number}") for number in range(4)]

World = dict[tuple[str, str], int]


@dataclass
class Model:
    """What is published, what is missing since when, and what of it is held."""

    max_drop: float
    hold: float
    published: World = field(default_factory=dict)
    missing: dict[tuple[str, str], float] = field(default_factory=dict)
    held: set[tuple[str, str]] = field(default_factory=set)

    def admit(self, present: World, connected: float, now: float, *, complete: bool) -> World:
        for key in present:
            self.missing.pop(key, None)
            self.held.discard(key)
        for key in self.published:
            if key not in present:
                self.missing.setdefault(key, now)
        for key, since in list(self.missing.items()):
            if now - since >= self.hold:
                del self.missing[key]
                self.held.discard(key)
                self.published.pop(key, None)
        everywhere = not complete or self.soon(connected) or self.too_many(present, MESHES)
        for key in self.published:
            if key in self.missing and (everywhere or self.too_many(present, (key[0],))):
                self.held.add(key)
        self.published = present | {key: self.published[key] for key in self.held}
        return self.published

    def accept(self) -> None:
        for key in self.held:
            self.published.pop(key, None)
        self.held.clear()
        self.missing.clear()

    def soon(self, connected: float) -> bool:
        return any(connected <= since <= connected + self.hold for since in self.missing.values())

    def too_many(self, present: World, meshes: tuple[str, ...]) -> bool:
        here = sum(key[0] in meshes for key in present)
        gone = sum(key[0] in meshes for key in self.missing)
        return gone > self.max_drop * (here + gone)


def as_snapshot(world: World, connected: float, *, complete: bool) -> Snapshot:
    assignments = [assignment(name, mesh=mesh, service=str(version)) for (mesh, name), version in world.items()]
    return snapshot(*assignments, connected=connected, complete=complete)


def as_world(admitted: Snapshot) -> World:
    return {(entry.key.mesh, entry.key.name): int(entry.read().service) for entry in admitted.assignments}
