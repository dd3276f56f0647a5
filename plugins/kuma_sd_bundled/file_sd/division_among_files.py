"""Divide the targets among files, and keep the content of each up to date, from changes alone."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from operator import attrgetter, eq

from kuma_sd import GroupKey, Publication, TargetGroup
from kuma_sd_bundled.file_sd.parts import Place, Rule

_KEY, _LINE = attrgetter("key"), attrgetter("json")

_NOTHING: frozenset[Place] = frozenset()


class Undivided:
    """Keeps the content of one file that holds all targets."""

    def __init__(self) -> None:
        self.publication: Publication | None = None

    def lines(self, _place: Place) -> Sequence[bytes]:
        """Return the lines of the file."""
        return self.publication.lines if self.publication else ()

    def update(self, publication: Publication, found: object = None) -> None:  # noqa: ARG002 (as above)
        """Replace the publication."""
        self.publication = publication

    def settle(self) -> None:
        """Do nothing: no target moves."""


class Division:
    """Divides publications among files. Unchanged groups are neither hashed nor compared.

    A target that moves to another file, because its address or label changed, stays in its former one too, with its new
    labels, until `settle()`: a server that reads both finds it at any time.

    Args:
        rule: returns the files that a group belongs to.
    """

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._publication: Publication | None = None
        self._groups: dict[Place, Sequence[TargetGroup]] = {}
        self._lines: dict[Place, Sequence[bytes]] = {}
        self._leaving: dict[GroupKey, frozenset[Place]] = {}

    @property
    def publication(self) -> Publication | None:
        """What is divided; None before the first update."""
        return self._publication

    def lines(self, place: Place) -> Sequence[bytes]:
        """Return the lines of a file, in the order of the publication; the same object until one of them changes."""
        lines = self._lines.get(place)
        if lines is None:
            lines = self._lines[place] = tuple(map(_LINE, self._groups.get(place, ())))
        return lines

    def update(self, publication: Publication, found: Mapping[Place, Collection[bytes]] | None = None) -> None:
        """Divide another publication.

        Args:
            publication: it.
            found: lines that stand in files already, before the first update, by whatever rule they came there.
        """
        gone, new = publication.gone_and_new(self._publication)
        # What is equal may be another object, but is found in files by its identity when it is gone.
        self._publication = publication.with_objects_of(self._publication)
        changes: defaultdict[Place, _Change] = defaultdict(_Change)
        former = [self._take_out(group, changes) for group in gone]
        for group, before in zip(new, _by_group(gone, former, new, found or {}), strict=True):
            for place in self._places_of(group, before):
                changes[place].new.append(group)
        self._apply(changes)

    def settle(self) -> None:
        """Take the targets that moved out of their former files: they are in their new ones."""
        assert self._publication or not self._leaving
        changes: defaultdict[Place, _Change] = defaultdict(_Change)
        if self._publication and self._leaving:
            for group in self._publication.groups:
                for place in self._leaving.get(group.key, _NOTHING):
                    changes[place].gone.add(id(group))
        self._leaving.clear()
        self._apply(changes)

    def _take_out(self, group: TargetGroup, changes: dict[Place, "_Change"]) -> Collection[Place]:
        """Take a group out of its files; return these."""
        places: Collection[Place] = self._rule(group)
        if self._leaving:
            places = self._leaving.pop(group.key, _NOTHING).union(places)
        for place in places:
            changes[place].gone.add(id(group))
        return places

    def _places_of(self, group: TargetGroup, before: Collection[Place] | None) -> Sequence[Place]:
        places = self._rule(group)
        if before is None or before == places:
            return places
        leaving = frozenset(before).difference(places)
        if not leaving:
            return places
        self._leaving[group.key] = leaving
        return [*places, *leaving]

    def _apply(self, changes: dict[Place, "_Change"]) -> None:
        for place, change in changes.items():
            self._groups[place] = change.applied_to(self._groups.get(place, ()))
            self._lines.pop(place, None)


def _by_group(
    gone: Sequence[TargetGroup],
    former: Sequence[Collection[Place]],
    new: Sequence[TargetGroup],
    found: Mapping[Place, Collection[bytes]],
) -> Sequence[Collection[Place] | None]:
    """Return in which files each of the new groups stands already; None for one that stands in none."""
    # In most large changes each group replaces one; otherwise each key is hashed, which takes longer than all the rest.
    if len(gone) == len(new) and all(map(eq, map(_KEY, gone), map(_KEY, new))):
        return former
    places: dict[GroupKey, Collection[Place]] = dict(zip(map(_KEY, gone), former, strict=True))
    for group in new if found else ():
        here = [place for place, lines in found.items() if group.json in lines]
        if here:
            places[group.key] = here
    return [places.get(key) for key in map(_KEY, new)]


class _Change:
    def __init__(self) -> None:
        self.gone: set[int] = set()
        self.new: list[TargetGroup] = []

    def applied_to(self, groups: Sequence[TargetGroup]) -> Sequence[TargetGroup]:
        kept = [group for group in groups if id(group) not in self.gone] if self.gone else groups
        # Both are sorted by key already, so this is a merge.
        return sorted([*kept, *self.new]) if kept and self.new else kept or self.new
