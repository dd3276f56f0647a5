"""Find targets that are still published under a former name of their control plane.

The process may be stopped after the settings were applied and before an output has written its file.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable

from kuma_sd.core.model import Key


def present_keys(published: Collection[Key], names: Collection[str], targets: Iterable[Key]) -> dict[Key, Key]:
    """Return the present keys of what is published under names that no control plane has, by the published keys.

    What is published for a mesh and name belongs to the only control plane that has such targets and nothing published
    for them. If there are several, or not as many targets as groups, nothing is guessed.

    Args:
        published: the keys of what is published.
        names: the names that control planes have, also those that were removed.
        targets: the keys of all targets.
    """
    former: dict[tuple[str, str], list[Key]] = defaultdict(list)
    for key in published:
        if key.control_plane not in names:
            former[key.mesh, key.name].append(key)
    if not former:
        return {}
    lacking: dict[tuple[str, str], list[Key]] = defaultdict(list)
    for key in targets:
        if (key.mesh, key.name) in former and key not in published:
            lacking[key.mesh, key.name].append(key)
    found: dict[Key, Key] = {}
    for place, present in lacking.items():
        is_one_control_plane = len({key.control_plane for key in present}) == 1
        if is_one_control_plane and len(present) == len(former[place]):
            found |= dict(zip(sorted(former[place]), sorted(present), strict=True))
    return found
