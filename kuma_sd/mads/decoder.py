"""Decode the resources of a response into the assignments of a snapshot, skipping resources that did not change."""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import filterfalse, groupby, islice, repeat
from operator import attrgetter, eq

import msgspec
from msgspec.structs import replace

from kuma_sd.core.errors import SourceError
from kuma_sd.core.list_diff import flattened
from kuma_sd.core.logger import Logger
from kuma_sd.core.model import Assignment, Key
from kuma_sd.core.response_descriptions import problem_shown
from kuma_sd.core.text import size
from kuma_sd.core.value_limits import MOST_VALUES, may_have_more
from kuma_sd.mads.codecs import Part, ResourceCodec

_log = Logger(__name__)

# There may be 100,000 assignments, so loops run in C where possible.
_KEY = attrgetter("key")

Parts = Assignment | tuple[Assignment, ...]
"""The assignments of one resource, nearly always one."""

LARGEST_RESOURCE = 2**24
"""Maximum size of a resource, in bytes. Kuma puts one target into each, of less than 1 KiB."""

OVERHEAD = 512
"""Approximate memory of a target besides its bytes, in bytes."""

_TOO_MUCH = "its targets, each with the labels of all, are larger than max-message-size; raise that if this is right"

FEW = 100
"""Up to this many added or removed assignments are inserted one by one; more are sorted."""

BATCH = 100
"""Number of resources that are looked up or parsed at a time; their bytes stay in the processor's cache."""

LARGEST_BATCH = 2**18
"""Maximum size of resources that are parsed together, in bytes; larger ones are checked and parsed one by one."""


class MadsResponse(msgspec.Struct, frozen=True):
    """The content of one response of a control plane, over any protocol.

    Args:
        codec: decodes its resources.
        resources: their bytes including the type, in any order; made at each iteration, so that known resources are
            never all in memory twice.
        size: the response's size in bytes.
    """

    codec: ResourceCodec
    resources: Iterable[bytes]
    size: int = 0


class Decoder:
    """Decodes the responses of one control plane, over all its connections.

    MADS repeats every assignment in every response, in random order. A resource whose bytes were in the last response
    is recognised by a look-up; only the others are decoded.

    Args:
        control_plane: its name, which becomes part of each key.
        most: max-message-size, in bytes. It also limits the targets of assignments with several targets: each repeats
            the assignment's labels, so they may be far larger than the response.
    """

    def __init__(self, control_plane: str, most: int = 2**28) -> None:
        self._control_plane = control_plane
        self._most = most
        self._expanded = 0
        self._codec: ResourceCodec | None = None
        # Exactly the resources of the last response, each with its assignments; and the sum of their hashes.
        self._known: dict[bytes, Parts] = {}
        self._checksum = 0
        self._failures: dict[bytes, str] = {}
        self._assignments: list[Assignment] = []
        self._namesakes = False
        self._reported: frozenset[bytes] = frozenset()
        self.decoded = 0
        self.parse_errors = 0

    def decode(self, response: MadsResponse) -> tuple[Sequence[Assignment], frozenset[bytes]]:
        """Return all assignments of a response, sorted by key, and digests of the resources that cannot be decoded.

        Raises:
            SourceError: there are resources, and none can be decoded.
        """
        if response.codec is not self._codec:
            self._forget()
            self._codec = response.codec
        fresh, gone = self._compared(response.resources)
        if gone or fresh:
            self._assignments = self._patched(gone, fresh)
        self._report()
        if self._failures and not self._assignments:
            self._forget()
            raise SourceError("no resource of the response can be decoded")
        return self._assignments, self._reported

    def _forget(self) -> None:
        self._codec = None
        self._known = {}
        self._failures = {}
        self._assignments = []
        self._expanded = self._checksum = 0

    def _compared(self, resources: Iterable[bytes]) -> tuple[Collection[bytes], Collection[bytes]]:
        """Return the resources that are new since the last response, and those that are gone.

        Looking up whether a resource is known costs half as much as finding those that are gone, too. What is gone is
        mostly what the new ones replace, and a checksum tells whether it is.
        """
        fresh: dict[bytes, None] = {}
        count = checksum = 0
        rest = iter(resources)
        while batch := list(islice(rest, BATCH)):
            count += len(batch)
            checksum += sum(map(hash, batch))
            fresh.update(dict.fromkeys(filterfalse(self._known.__contains__, batch)))
        replaced = self._replaced_by(fresh) if len(fresh) <= FEW else set()
        self._checksum += sum(map(hash, fresh)) - sum(map(hash, replaced))
        if (count, checksum) == (len(self._known) + len(fresh) - len(replaced), self._checksum):
            return fresh, replaced
        gone = self._known.copy()
        # Otherwise none of them was known.
        if len(fresh) < count:
            for resource in resources:
                gone.pop(resource, None)
        self._checksum += sum(map(hash, replaced)) - sum(map(hash, gone))
        return fresh, gone

    def _replaced_by(self, fresh: Iterable[bytes]) -> set[bytes]:
        """Return the known resources that have the names of new ones."""
        replaced = set()
        for resource in fresh:
            # What cannot be decoded is reported later.
            with suppress(Exception):
                mesh, name, _ = next(iter(self._split(resource)))
                place = bisect_left(self._assignments, Key(self._control_plane, mesh, name, 0), key=_KEY)
                known = self._assignments[place]
                if (known.key.mesh, known.key.name) == (mesh, name) and known.data in self._known:
                    replaced.add(known.data)
        return replaced

    def _patched(self, gone: Collection[bytes], fresh: Collection[bytes]) -> list[Assignment]:
        """Return the sorted assignments after a change; a few are inserted without comparing all."""
        old = [self._known.pop(resource) for resource in gone]
        self._expanded -= sum(map(_expanded, old))
        self._failures = {resource: why for resource, why in self._failures.items() if resource in self._known}
        new = list(self._attempts(fresh))
        self._known.update(zip(fresh, new, strict=True))
        removed, added = flattened(old, Assignment), flattened(new, Assignment)
        if len(removed) + len(added) <= FEW and not self._namesakes:
            patched = self._assignments.copy()
            for assignment in removed:
                del patched[bisect_left(patched, assignment.key, key=_KEY)]
            for assignment in added:
                place = bisect_left(patched, assignment.key, key=_KEY)
                self._namesakes |= place < len(patched) and patched[place].key == assignment.key
                patched.insert(place, assignment)
        else:
            # Comparing text is three times as fast as comparing keys; the sort is stable.
            patched = sorted(flattened(self._known.values(), Assignment), key=attrgetter("key.name"))
            patched.sort(key=attrgetter("key.mesh"))
            keys = list(map(_KEY, patched))
            self._namesakes = any(map(eq, keys, islice(keys, 1, None)))
        return _numbered(patched) if self._namesakes else patched

    def _attempts(self, fresh: Iterable[bytes]) -> Iterator[Parts]:
        codec, control_plane = self._codec, self._control_plane
        assert codec is not None
        rest = iter(fresh)
        while batch := list(islice(rest, BATCH)):
            self.decoded += len(batch)
            small = sum(map(len, batch)) <= LARGEST_BATCH
            for resource, name in zip(batch, codec.names(batch) if small else repeat(None), strict=small):
                if name is None:
                    yield self._attempt(resource)
                else:
                    yield Assignment(Key(control_plane, *name, 0), resource, codec)

    def _attempt(self, resource: bytes) -> Parts:
        codec, control_plane = self._codec, self._control_plane
        assert codec is not None
        parts: list[Assignment] = []
        room = self._most - self._expanded
        try:
            for mesh, name, data in self._split(resource):
                parts.append(Assignment(Key(control_plane, mesh, name, 0), data, codec))
                room -= len(data) + OVERHEAD
                if room < 0 and len(parts) > 1:
                    raise SourceError(_TOO_MUCH)  # noqa: TRY301 (decoding may raise the same)
        except (Exception, SystemExit) as error:  # noqa: BLE001 (one faulty resource must not stop the others)
            self._failures[resource] = problem_shown(error)
            return ()
        if len(parts) == 1:
            return parts[0]
        self._expanded += _expanded(tuple(parts))
        return tuple(parts)

    def _split(self, resource: bytes) -> Iterable[Part]:
        assert self._codec is not None
        if len(resource) > LARGEST_RESOURCE:
            raise SourceError(f"it is larger than {size(LARGEST_RESOURCE)}")
        if may_have_more(resource, MOST_VALUES):
            self._codec.refuse_many_values(resource, MOST_VALUES)
        return self._codec.split(resource)

    def _report(self) -> None:
        failures = {digest(resource): error for resource, error in self._failures.items()}
        new = failures.keys() - self._reported
        if new:
            _log.warning(
                "assignments cannot be decoded, their last good targets stay",
                control_plane=self._control_plane or None,
                assignments=len(failures),
                first=failures[min(new)],
            )
        self.parse_errors += len(new)
        self._reported = frozenset(failures)


def digest(resource: bytes) -> bytes:
    """Return the digest that identifies a resource that cannot be decoded."""
    import hashlib  # noqa: PLC0415 (imported late: it loads OpenSSL, and is rarely needed)

    return hashlib.blake2b(resource, digest_size=16).digest()


def _expanded(parts: Parts) -> int:
    return sum(len(part.data) + OVERHEAD for part in parts) if isinstance(parts, tuple) else 0


def _numbered(assignments: Iterable[Assignment]) -> list[Assignment]:
    """Number targets of equal names in the order of their bytes; identical targets become one."""
    numbered: list[Assignment] = []
    for _, namesakes in groupby(assignments, key=_KEY):
        unique = {namesake.data: namesake for namesake in namesakes}
        for place, data in enumerate(sorted(unique)):
            one = unique[data]
            numbered.append(replace(one, key=replace(one.key, ordinal=place)) if place else one)
    return numbered
