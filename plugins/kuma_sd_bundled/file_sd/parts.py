"""Divide a shard into parts: which part a target is in, for one or several numbers of parts."""

import zlib
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from kuma_sd import MOST_SHARDS, TargetGroup

DEFAULT_PARTS = 16
"""Default number of parts; each takes one of the 128 inotify instances that a user has by default."""

MOST_PARTS = MOST_SHARDS
"""Maximum number of parts."""


class Place(NamedTuple):
    """A file: the part of a shard; 0 of 1 where there are no shards, or no parts."""

    shard: int
    part: int


Rule = Callable[[TargetGroup], Sequence[Place]]
"""Returns the files that a group belongs to; none if it belongs to a shard that is written elsewhere."""


def part_hash(group: TargetGroup) -> int:
    """Return a number that stays the same while a target exists, even if its address or control plane changes.

    All results of the transforms of one target have the same number.
    """
    key = group.key.assignment
    return zlib.crc32(f"{key.mesh}\0{key.name}\0{key.ordinal}".encode())


def picker_of(shard: int, counts: Collection[int]) -> Rule:
    """Return a function that returns the files of a group of a shard.

    Args:
        shard: the shard.
        counts: numbers of parts; a group is in its part of each of them.
    """
    if set(counts) == {1}:
        only = (Place(shard, 0),)
        return lambda _group: only
    places = [Place(shard, part) for part in range(max(counts))]
    if len(counts) == 1:
        (count,) = counts
        alone = [(place,) for place in places]
        return lambda group: alone[part_hash(group) % count]
    ordered = sorted(counts)

    def pick(group: TargetGroup) -> Sequence[Place]:
        number = part_hash(group)
        return list({places[number % count]: None for count in ordered})

    return pick
