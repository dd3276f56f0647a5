"""Leave out target groups that Prometheus could not tell from another one."""

from collections.abc import Sequence
from itertools import chain, pairwise

from kuma_sd.core.target_group import TargetGroup


def without_duplicates(
    groups: tuple[TargetGroup, ...], lines: Sequence[bytes], new: Sequence[slice]
) -> tuple[TargetGroup, ...]:
    """Return the groups, and of those with equal lines only the one with the smallest key.

    Args:
        groups: sorted by key; returned as they are if no two have equal lines.
        lines: their lines.
        new: the ranges of those that are not known to have lines of their own; the lines of all others differ.
    """
    fresh = list(chain.from_iterable(lines[part] for part in new))
    different = set(fresh)
    ends = [0, *chain.from_iterable((part.start, part.stop) for part in new), len(lines)]
    known = [lines[start:stop] for start, stop in list(pairwise(ends))[::2]]
    if len(different) == len(fresh) and all(map(different.isdisjoint, known)):
        return groups
    unique = dict(zip(reversed(lines), reversed(groups), strict=True))
    return tuple(sorted(unique.values()))
