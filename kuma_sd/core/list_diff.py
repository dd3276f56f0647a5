"""Find what differs between two lists that mostly hold the same objects in the same order."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter, eq
from typing import Any, TypeVar, cast

T = TypeVar("T")

MOST_RANGES = 1000
"""Maximum number of changed ranges; beyond it, looking up every item is cheaper than finding more ranges."""

WINDOW = 16
"""How many items after a change are searched for the next item that both lists share."""


def changed_ranges(before: Sequence[T], after: Sequence[T]) -> list[tuple[slice, slice]]:
    """Return where two sequences differ: pairs of a range of the first and the range that replaces it in the second.

    Everything outside these ranges is equal and in the same order. Blocks are compared, which compares only addresses
    while the objects are the same: 30 times faster than a loop.
    """
    ranges: list[tuple[slice, slice]] = []
    old = new = 0
    while True:
        run = _shared(before, after, old, new)
        old, new = old + run, new + run
        if old == len(before) and new == len(after):
            return ranges
        skipped = _skipped(before, after, old, new) if len(ranges) < MOST_RANGES else None
        if skipped is None:
            end = _shared(before[old:][::-1], after[new:][::-1], 0, 0)
            return [*ranges, (slice(old, len(before) - end), slice(new, len(after) - end))]
        ranges.append((slice(old, old + skipped[0]), slice(new, new + skipped[1])))
        old, new = old + skipped[0], new + skipped[1]


def difference(before: Sequence[T], after: Sequence[T]) -> tuple[list[T], list[T]]:
    """Return the objects that are only in the first sequence, and those only in the second, each in order."""
    ranges = changed_ranges(before, after)
    old = list(itertools.chain.from_iterable(before[part] for part, _ in ranges))
    new = list(itertools.chain.from_iterable(after[part] for _, part in ranges))
    # A set of many addresses is expensive, so only one is made; mostly nothing is in both lists.
    shorter, longer = sorted((old, new), key=len)
    moved = set(map(id, shorter)).intersection(map(id, longer)) if shorter else ()
    if not moved:
        return old, new
    return [item for item in old if id(item) not in moved], [item for item in new if id(item) not in moved]


def with_objects_of(before: Sequence[T], after: Sequence[T]) -> list[T]:
    """Return the second sequence, with the first one's objects where both are equal.

    What is equal may be another object, as when all targets were converted anew.
    """
    return patched(before, changed_ranges(before, after), after.__getitem__)


def patched(before: Sequence[T], ranges: Iterable[tuple[slice, slice]], new: Callable[[slice], Iterable[T]]) -> list[T]:
    """Return a sequence with other items in the ranges that differ.

    Args:
        before: the sequence.
        ranges: as `changed_ranges` returns them.
        new: returns the items of a range of the second sequence.
    """
    result: list[T] = []
    shared_from = 0
    for old, others in ranges:
        result += before[shared_from : old.start]
        result += new(others)
        shared_from = old.stop
    result += before[shared_from:]
    return result


def have_equal_keys(before: Sequence[T], after: Sequence[T], key: Callable[[Any], object] = attrgetter("key")) -> bool:
    """Tell whether the items of two sequences have equal keys, in the same order.

    Then each item of the second replaces the one at its place in the first. Most large changes are such; a dictionary
    of all keys would take several times as long, since each of them is hashed.
    """
    return len(before) == len(after) and all(map(eq, map(key, before), map(key, after)))


def flattened(items: Iterable[T | tuple[T, ...]], kind: type[T]) -> list[T]:
    """Flatten items, most of which are of this kind, and the rest tuples of them.

    Items are not all tuples, since a tuple takes 48 bytes a target.
    """
    # A list is not copied, since there may be hundreds of thousands of items.
    mixed = items if isinstance(items, list) else list(items)
    if set(map(type, mixed)) <= {kind}:
        return cast("list[T]", mixed)
    row: list[T] = []
    for item in mixed:
        if isinstance(item, kind):
            row.append(item)
        else:
            row.extend(cast("tuple[T, ...]", item))
    return row


def _shared(before: Sequence[T], after: Sequence[T], old: int, new: int) -> int:
    """Return how many items are equal from these indexes on; the cost grows with that number."""
    rest = min(len(before) - old, len(after) - new)
    run, step, growing = 0, 1, True
    # The block size doubles until a block differs, then halves until the index is found.
    while step:
        end = run + step
        same = end <= rest and before[old + run : old + end] == after[new + run : new + end]
        run += step if same else 0
        growing = growing and same
        step = step * 2 if growing else step // 2
    return run


def _skipped(before: Sequence[T], after: Sequence[T], old: int, new: int) -> tuple[int, int] | None:
    """Return the distances to the next object that both sequences have; None if it is not within `WINDOW`."""
    places = {id(item): place for place, item in enumerate(after[new : new + WINDOW])}
    near = enumerate(before[old : old + WINDOW])
    return next(((place, places[id(suggestion)]) for place, suggestion in near if id(suggestion) in places), None)
