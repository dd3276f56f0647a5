"""Unite the targets of all control planes."""

import itertools
from collections.abc import Sequence

from kuma_sd.core.model import Assignment
from kuma_sd.pipeline.control_plane import ControlPlane


def merge(control_planes: Sequence[ControlPlane]) -> list[Assignment]:
    """Return the published assignments of all control planes, sorted by key, each key once."""
    assignments = list(itertools.chain.from_iterable(control_plane.published for control_plane in control_planes))
    if len({control_plane.config.name for control_plane in control_planes}) == len(control_planes):
        return assignments
    # A leaving control plane has the name of a new one, which comes first and wins.
    unique = {assignment.key: assignment for assignment in reversed(assignments)}
    return sorted(unique.values())
