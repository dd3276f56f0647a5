"""Find which published groups belong to which target.

A file says from which mesh and name a group was made, but not from which of several targets of equal names, nor how
many groups a transform makes of one target.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from kuma_sd.core.model import Key
from kuma_sd.core.target_group import TargetGroup


def shared_groups(published: Iterable[Key], targets: Iterable[Key]) -> dict[Key, Sequence[Key]]:
    """Return the keys of the published groups of each target, where these keys do not say it.

    A single group with the key of a target is that target's. Otherwise, if there are as many targets of a name as
    groups, each has one, in their order. If not, each has all of them: a transform made several groups of one target,
    or it cannot be known whose they are; equal ones are published once.

    Args:
        published: the keys of the published groups, numbered by their ordinals.
        targets: the keys of all targets.
    """
    groups: dict[tuple[str, str, str], list[Key]] = defaultdict(list)
    for key in published:
        groups[_name(key)].append(key)
    namesakes: dict[tuple[str, str, str], list[Key]] = defaultdict(list)
    for key in targets:
        if _name(key) in groups:
            namesakes[_name(key)].append(key)
    shares: dict[Key, Sequence[Key]] = {}
    for name, present in namesakes.items():
        all_groups = sorted(groups[name])
        if len(all_groups) == 1 and all_groups[0] in present:
            continue
        if len(present) == len(all_groups):
            shares |= {key: [group] for key, group in zip(sorted(present), all_groups, strict=True)}
        else:
            shares |= dict.fromkeys(present, all_groups)
    return shares


def by_target(groups: Iterable[TargetGroup]) -> dict[Key, TargetGroup | tuple[TargetGroup, ...]]:
    """Return groups by the keys of the targets that they were made of."""
    found: defaultdict[Key, list[TargetGroup]] = defaultdict(list)
    for group in sorted({group.key: group for group in groups}.values()):
        found[group.key.assignment].append(group)
    return {key: parts[0] if len(parts) == 1 else tuple(parts) for key, parts in found.items()}


def _name(key: Key) -> tuple[str, str, str]:
    return key.control_plane, key.mesh, key.name
