"""Compare two lists of target groups, even without common keys, since files hold no keys."""

import sys
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from operator import attrgetter
from typing import NamedTuple

import msgspec

from kuma_sd.core.model import Key, Labels
from kuma_sd.core.target_group import GroupKey, TargetGroup

NO_KEY = GroupKey(Key("", "", "", 0), 0)
"""Key of groups whose identity is not known."""


class _MetaLabels(msgspec.Struct, rename=lambda field: field.replace("meta_", "__meta_kuma_")):
    """The labels, in all label profiles, that identify a target."""

    mesh: str = ""
    meta_mesh: str = ""
    service: str = ""
    meta_service: str = ""
    job: str = ""
    dataplane: str = ""
    meta_dataplane: str = ""
    instance: str = ""


class _Group(msgspec.Struct):
    targets: list[str]
    labels: _MetaLabels


_DECODER = msgspec.json.Decoder(_Group)


class Described(NamedTuple):
    """A target group with the facts that identify it, empty if unknown; sorts by these in this order.

    Args:
        mesh: its mesh.
        service: its service.
        name: its dataplane.
        address: the address that is scraped.
        group: the group itself.
    """

    mesh: str
    service: str
    name: str
    address: str
    group: TargetGroup

    @classmethod
    def of(cls, group: TargetGroup) -> "Described":
        """Read a group; decodes as little as possible, since there may be very many."""
        read, key = _DECODER.decode(group.json), group.key.assignment
        labels = read.labels
        return cls(
            sys.intern(labels.mesh or labels.meta_mesh or key.mesh),
            sys.intern(labels.service or labels.meta_service or labels.job),
            labels.dataplane or labels.meta_dataplane or labels.instance or key.name,
            read.targets[0],
            group,
        )

    @property
    def labels(self) -> Labels:
        """Its labels, ``__address__`` included."""
        return {"__address__": self.address, **self.group.labels}


class Pair(NamedTuple):
    """One target before and after; None where it does not exist."""

    before: Described | None
    after: Described | None

    @property
    def target(self) -> Described:
        """The target as it will be, or as it was if it is removed."""
        one = self.after or self.before
        assert one is not None
        return one

    @property
    def labels(self) -> Iterator[tuple[str, str | None, str | None]]:
        """The labels that differ: name, value before, value after; None for a missing label."""
        before, after = (group.labels if group else {} for group in self)
        for name in sorted(before.keys() | after.keys()):
            if before.get(name) != after.get(name):
                yield name, before.get(name), after.get(name)


class DiffCounts(NamedTuple):
    """The numbers of added, removed and changed targets."""

    added: int = 0
    removed: int = 0
    changed: int = 0

    @property
    def total(self) -> int:
        """The sum of all three."""
        return sum(self)


class Difference(msgspec.Struct, frozen=True):
    """The difference between two lists of groups; each part is sorted by mesh, service, dataplane and address."""

    added: list[Pair]
    removed: list[Pair]
    changed: list[Pair]

    @property
    def counts(self) -> DiffCounts:
        """The numbers of added, removed and changed targets."""
        return DiffCounts(len(self.added), len(self.removed), len(self.changed))

    @property
    def services(self) -> Mapping[tuple[str, str], DiffCounts]:
        """The numbers of added, removed and changed targets by mesh and service, the largest first."""
        found: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
        for place, pairs in enumerate((self.added, self.removed, self.changed)):
            for pair in pairs:
                found[pair.target.mesh, pair.target.service][place] += 1
        return {name: DiffCounts(*found[name]) for name in sorted(found, key=lambda place: (-sum(found[place]), place))}


def compare(before: Iterable[TargetGroup], after: Iterable[TargetGroup]) -> Difference:
    """Compare what is published with what would be published.

    Equal lines are skipped, whatever their keys: Prometheus sees no difference. The rest is paired, by key if there are
    keys, then by identifying labels, so that a target whose labels changed is not shown as removed and added.

    Args:
        before: the groups published now, each line once.
        after: the groups that would be published, each line once.
    """
    old, new = ({group.json: group for group in groups} for groups in (before, after))
    gone = [Described.of(old[line]) for line in old.keys() - new.keys()]
    come = [Described.of(new[line]) for line in new.keys() - old.keys()]
    gone.sort()
    come.sort()
    changed: list[Pair] = []
    for identity in (_key, _address_and_name, _address, _name):
        pairs, gone, come = _paired(gone, come, identity)
        changed += pairs
    changed.sort(key=attrgetter("target"))
    return Difference([Pair(None, group) for group in come], [Pair(group, None) for group in gone], changed)


def _paired(
    gone: list[Described], come: list[Described], identity: Callable[[Described], Hashable]
) -> tuple[list[Pair], list[Described], list[Described]]:
    """Pair groups of equal identity, in order; returns the pairs, and the unpaired groups of both sides."""
    waiting: dict[Hashable, deque[Described]] = defaultdict(deque)
    for group in gone:
        waiting[identity(group)].append(group)
    # Groups without an identity stay unpaired.
    hopeless = waiting.pop(None, deque())
    pairs, alone = [], []
    for group in come:
        if candidates := waiting.get(identity(group)):
            pairs.append(Pair(candidates.popleft(), group))
        else:
            alone.append(group)
    left = [*hopeless, *(candidate for candidates in waiting.values() for candidate in candidates)]
    return pairs, sorted(left), alone


def _key(one: Described) -> Hashable:
    return None if one.group.key == NO_KEY else one.group.key


def _address_and_name(one: Described) -> Hashable:
    return one.address, one.mesh, one.service, one.name


def _address(one: Described) -> Hashable:
    return one.address


def _name(one: Described) -> Hashable:
    return (one.mesh, one.service, one.name) if one.name else None
