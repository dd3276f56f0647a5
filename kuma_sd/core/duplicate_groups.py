"""Leave out target groups that Prometheus could not tell from another one."""

from operator import attrgetter

from kuma_sd.core.target_group import TargetGroup

# In C, since there may be hundreds of thousands of groups.
_LINE = attrgetter("json")


def without_duplicates(groups: tuple[TargetGroup, ...]) -> tuple[TargetGroup, ...]:
    """Return the groups, and of those with equal lines only the one with the smallest key.

    Args:
        groups: sorted by key; returned as they are if no two have equal lines.
    """
    if len(set(map(_LINE, groups))) == len(groups):
        return groups
    unique = dict(zip(map(_LINE, reversed(groups)), reversed(groups), strict=True))
    return tuple(sorted(unique.values()))
