"""Leave out target groups that Prometheus could not tell from another one."""

from collections.abc import Container, Sequence
from operator import attrgetter

from kuma_sd.core.target_group import TargetGroup

# In C, since there may be hundreds of thousands of groups.
_LINE = attrgetter("json")


def without_duplicates(groups: tuple[TargetGroup, ...], new: Sequence[TargetGroup]) -> tuple[TargetGroup, ...]:
    """Return the groups, and of those with equal lines only the one with the smallest key.

    Args:
        groups: sorted by key; returned as they are if no two have equal lines.
        new: those of them that are not known to have lines of their own; the lines of all others differ.
    """
    lines = set(map(_LINE, new))
    if len(lines) == len(new) and (len(new) == len(groups) or _count(groups, lines) == len(new)):
        return groups
    unique = dict(zip(map(_LINE, reversed(groups)), reversed(groups), strict=True))
    return tuple(sorted(unique.values()))


def _count(groups: tuple[TargetGroup, ...], lines: Container[bytes]) -> int:
    """Return how many groups have one of these lines."""
    return sum(map(lines.__contains__, map(_LINE, groups)))
