"""Number targets of equal names in the same way over time."""

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from operator import attrgetter

from msgspec.structs import replace

from kuma_sd.core.errors import NotReceivedError
from kuma_sd.core.model import Assignment, Key

_KEY = attrgetter("key")
_ORDINAL = attrgetter("key.ordinal")
_DATA = attrgetter("data")


def has_namesakes(assignments: Iterable[Assignment]) -> bool:
    """Tell whether several targets share a name, or did before."""
    return any(map(_ORDINAL, assignments))


def with_stable_ordinals(
    assignments: Sequence[Assignment], published: Sequence[Assignment], held: Collection[Key]
) -> Sequence[Assignment]:
    """Give each target the ordinal under which it is published, if other targets share its name.

    A target is recognised by its bytes, then by address, scheme and path. Those that are not recognised take, in order
    of content, the ordinals of targets that vanished just now, and then of those that are held. Further ones get a new
    ordinal.

    Args:
        assignments: the received assignments, sorted by key, with any ordinals.
        published: the published assignments, sorted by key.
        held: the keys of published assignments that vanished earlier.
    """
    both = itertools.chain(assignments, published)
    names = {(assignment.key.mesh, assignment.key.name) for assignment in both if assignment.key.ordinal}
    if not names:
        return assignments
    result = [item for item in assignments if (item.key.mesh, item.key.name) not in names]
    for mesh, name in names:
        known = _named(published, mesh, name)
        result += _numbered(_named(assignments, mesh, name), known, held)
    return sorted(result)


def _named(assignments: Sequence[Assignment], mesh: str, name: str) -> Sequence[Assignment]:
    if not assignments:
        return ()
    control_plane = assignments[0].key.control_plane
    start = bisect_left(assignments, Key(control_plane, mesh, name, 0), key=_KEY)
    end = bisect_right(assignments, Key(control_plane, mesh, name, 2**63), key=_KEY)
    return assignments[start:end]


def _numbered(
    namesakes: Sequence[Assignment], known: Sequence[Assignment], held: Collection[Key]
) -> Iterator[Assignment]:
    left, free = sorted(namesakes, key=_DATA), sorted(known, key=_DATA)
    for place_of in (_DATA, _place):
        places = {place_of(assignment): assignment for assignment in reversed(free)}
        for assignment in left.copy():
            if other := places.pop(place_of(assignment), None):
                left.remove(assignment)
                free.remove(other)
                yield _as(assignment, other)
    vanished = sorted(free, key=lambda other: other.key in held)
    for assignment, other in zip(left, vanished, strict=False):
        yield _as(assignment, other)
    following = itertools.count(max((other.key.ordinal for other in known), default=-1) + 1)
    for assignment, ordinal in zip(left[len(vanished) :], following, strict=False):
        yield replace(assignment, key=replace(assignment.key, ordinal=ordinal))


def _as(assignment: Assignment, known: Assignment) -> Assignment:
    """Return the assignment under the key of a known one; the same object if nothing else changed."""
    renumbered = replace(assignment, key=known.key)
    return known if renumbered == known else renumbered


def _place(assignment: Assignment) -> object:
    """Return the location of a target; an unreadable one has the same location as no other."""
    try:
        target = assignment.read()
    except NotReceivedError as error:
        return error.place
    except (Exception, SystemExit):  # noqa: BLE001 (whatever a codec raises, the others are numbered)
        return assignment.data
    return target.address, target.scheme, target.metrics_path
