"""The guard against a model of its rules, written from their text without any of its tricks."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from kuma_sd import Snapshot
from kuma_sd.pipeline.guard import Guard
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
    return {(one.key.mesh, one.key.name): int(one.read().service) for one in admitted.assignments}


worlds = st.dictionaries(st.sampled_from(NAMES), st.integers(0, 2))
steps = st.tuples(
    worlds | st.just({}) | st.just(dict.fromkeys(NAMES, 0)),
    st.sampled_from([0.0, 1.0, 5.0, 10.0, 11.0]),  # how long after the last one
    st.sampled_from([False, False, False, True]),  # over a new connection
    st.sampled_from([True, True, True, False]),  # complete
)


@settings(max_examples=500, deadline=None)
@given(st.lists(steps, max_size=12), st.sampled_from([0.0, 10.0, float("inf")]), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_what_is_published_is_what_the_rules_say(
    story: list[tuple[World, float, bool, bool]], hold: float, max_drop: float
) -> None:
    guard, model = Guard("", max_drop, hold), Model(max_drop, hold)
    now, connected = 100.0, -1000.0
    last: tuple[World, float, bool] | None = None
    for world, pause, reconnected, complete in story:
        due = guard.deadline
        while last and due is not None and due < now + pause:
            expected = model.admit(last[0], last[1], due, complete=last[2])
            assert as_world(guard.admit(as_snapshot(last[0], last[1], complete=last[2]), due)) == expected
            due = guard.deadline
        now += pause
        connected = now if reconnected else connected
        last = (world, connected, complete)
        expected = model.admit(world, connected, now, complete=complete)
        assert as_world(guard.admit(as_snapshot(world, connected, complete=complete), now)) == expected
        assert guard.status.held == {
            mesh: count for mesh in MESHES if (count := sum(key[0] == mesh for key in model.held))
        }
