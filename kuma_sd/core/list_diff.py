"""What two rounds share: most items are the same objects, in the same order."""

import itertools
from collections.abc import Iterable, Sequence
from typing import TypeVar, cast

T = TypeVar("T")

MOST_RANGES = 1000
"""Up to how many changed ranges are told apart; looking up everything costs less than finding more of them."""

WINDOW = 16
"""How far is looked ahead for what two lists share again, after a change."""


def changed_ranges(before: Sequence[T], after: Sequence[T]) -> list[tuple[slice, slice]]:
    """Return where two lists, or tuples, differ: ranges of the one, and what stands there in the other.

    What is outside of them is equal, and in the same order. Comparing it in blocks looks at addresses only as long as
    the objects are the same, thirty times faster than a loop.
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
    """Return the objects that only the one has, and those that only the other has, each in their order."""
    ranges = changed_ranges(before, after)
    old = list(itertools.chain.from_iterable(before[part] for part, _ in ranges))
    new = list(itertools.chain.from_iterable(after[part] for _, part in ranges))
    kept, known = set(map(id, new)), set(map(id, old))
    return [item for item in old if id(item) not in kept], [item for item in new if id(item) not in known]


def flattened(items: Iterable[T | tuple[T, ...]], kind: type[T]) -> list[T]:
    """Return items in a row: those of this kind, which most are, and what is in the tuples among them.

    A tuple around each item would cost 48 bytes a target.
    """
    mixed = list(items)
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
    """Return how many items from these places on are equal, at a cost that grows with them."""
    rest = min(len(before) - old, len(after) - new)
    run, step, growing = 0, 1, True
    # Blocks grow twofold until one differs, and shrink again until the place is found.
    while step:
        end = run + step
        same = end <= rest and before[old + run : old + end] == after[new + run : new + end]
        run += step if same else 0
        growing = growing and same
        step = step * 2 if growing else step // 2
    return run


def _skipped(before: Sequence[T], after: Sequence[T], old: int, new: int) -> tuple[int, int] | None:
    """Return how far it is to the next object that both have, in each; None when it is not near."""
    places = {id(item): place for place, item in enumerate(after[new : new + WINDOW])}
    near = enumerate(before[old : old + WINDOW])
    return next(((place, places[id(suggestion)]) for place, suggestion in near if id(suggestion) in places), None)
