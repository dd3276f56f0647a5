"""Numbers of target groups by name: the largest are named, the others summed up, since there may be any number."""

from collections.abc import Iterable

import msgspec

MOST_NAMES = 20
"""Maximum number of meshes, services or dataplanes that are named; there may be any number."""


class Count(msgspec.Struct, frozen=True):
    """The number of target groups of one name.

    Args:
        name: the name of a mesh or a service; empty for groups without one.
        count: the number of target groups.
        mesh: the mesh of a service; empty for a mesh.
    """

    name: str
    count: int
    mesh: str = ""


class TargetCounts(msgspec.Struct, frozen=True):
    """The MOST_NAMES names with the most target groups, and a sum of the others.

    Args:
        top: the counts, the largest first.
        names: the number of different names, those in ``top`` included.
        others: the number of target groups with other names.
    """

    top: tuple[Count, ...] = ()
    names: int = 0
    others: int = 0

    @classmethod
    def of(cls, counts: Iterable[Count]) -> "TargetCounts":
        """Choose the largest counts and sum up the others."""
        ordered = sorted(counts, key=lambda one: (-one.count, one.mesh, one.name))
        return cls(tuple(ordered[:MOST_NAMES]), len(ordered), sum(count.count for count in ordered[MOST_NAMES:]))
