"""Publications: all target groups of an output, in order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from operator import attrgetter

from kuma_sd.core.duplicate_groups import without_duplicates
from kuma_sd.core.list_diff import changed_ranges, difference, patched, with_objects_of
from kuma_sd.core.publication_change import Change
from kuma_sd.core.target_group import TargetGroup

# In C, since there may be hundreds of thousands of groups.
_LINE = attrgetter("json")


@dataclass(frozen=True)
class Publication:
    """All target groups, in order. It holds no delta, so nothing is lost when it is superseded.

    Args:
        groups: sorted by key; of groups with equal lines, only the one with the smallest key.
        received: when the newest message in it was received, in seconds of ``time.time()``.
        duplicates: the number of groups that were left out because an equal line is already in it.
    """

    groups: Sequence[TargetGroup]
    received: float
    duplicates: int = 0

    @classmethod
    def of(cls, groups: Iterable[TargetGroup], received: float, earlier: "Publication | None" = None) -> "Publication":
        """Create a publication.

        Args:
            groups: sorted by key.
            received: when the newest message in it was received, in seconds of ``time.time()``.
            earlier: any earlier publication; the lines of groups that are in it too are not compared.
        """
        every = tuple(groups)
        publication = cls(every, received)
        ranges = changed_ranges(earlier.groups if earlier else (), every)
        # As cached_property does; taking lines out of all groups takes longer than most changes.
        known = earlier.lines if earlier else ()
        vars(publication)["lines"] = tuple(patched(known, ranges, lambda new: map(_LINE, every[new])))
        unique = without_duplicates(every, publication.lines, [new for _, new in ranges])
        return publication if unique is every else cls(unique, received, len(every) - len(unique))

    def since(self, earlier: "Publication | None") -> Change:
        """Compare with an earlier publication.

        Args:
            earlier: any earlier publication; None if nothing was published yet.
        """
        return Change.between(*self.gone_and_new(earlier))

    def gone_and_new(self, earlier: "Publication | None") -> tuple[list[TargetGroup], list[TargetGroup]]:
        """Return the groups that only an earlier publication has, and those that only this one has.

        A group that changed is in both lists. Unchanged groups are the same objects and are skipped by identity,
        before any key is compared.
        """
        return difference(earlier.groups if earlier else (), self.groups)

    def with_objects_of(self, earlier: "Publication | None") -> "Publication":
        """Return the same publication, with the groups of an earlier one where they are equal.

        Then the groups that `gone_and_new()` returns can be told from the others by identity.
        """
        return replace(self, groups=tuple(with_objects_of(earlier.groups, self.groups))) if earlier else self

    @cached_property
    def lines(self) -> tuple[bytes, ...]:
        """The groups' lines of JSON, in order."""
        return tuple(map(_LINE, self.groups))
