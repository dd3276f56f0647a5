"""Unite the targets of all control planes."""

import itertools
from collections.abc import Sequence

from msgspec.structs import replace

from kuma_sd.core.model import Assignment, Key
from kuma_sd.pipeline.control_plane import ControlPlane

APART = 2**32
"""Distance between the ordinals of targets whose keys are equal although their control planes are not."""


def merge(control_planes: Sequence[ControlPlane]) -> list[Assignment]:
    """Return the published assignments of all control planes, sorted by key."""
    assignments = list(itertools.chain.from_iterable(control_plane.published for control_plane in control_planes))
    if len({control_plane.config.name for control_plane in control_planes}) == len(control_planes):
        return assignments
    return _with_unique_keys(assignments)


def _with_unique_keys(assignments: Sequence[Assignment]) -> list[Assignment]:
    """Give some other keys: a leaving control plane may have the name of one in the settings, which comes first."""
    taken: set[Key] = set()
    result = []
    for assignment in assignments:
        key = assignment.key
        while key in taken:
            key = replace(key, ordinal=key.ordinal + APART)
        taken.add(key)
        result.append(assignment if key is assignment.key else replace(assignment, key=key))
    return sorted(result)
