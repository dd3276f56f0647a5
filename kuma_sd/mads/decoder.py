"""From the resources of a response to the assignments of a snapshot, without decoding what did not change."""

import logging
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from operator import attrgetter, eq

from msgspec.structs import replace

from kuma_sd.core.errors import SourceError
from kuma_sd.core.list_diff import flattened
from kuma_sd.core.model import Assignment, Key
from kuma_sd.core.text import counted
from kuma_sd.mads.codecs import ResourceCodec

_log = logging.getLogger(__name__)

# Assignments are looked at by the hundred thousand, so in C where that is possible.
_KEY = attrgetter("key")

Parts = Assignment | tuple[Assignment, ...]
"""What a resource was split into: nearly always one."""

OVERHEAD = 512
"""What a target takes besides its bytes, about."""

_TOO_MUCH = "its targets, each with the labels of all, are larger than max-message-size; raise that if this is right"

FEW = 100
"""Up to how many assignments that come or go are put in their places one by one."""


@dataclass(frozen=True, slots=True)
class MadsResponse:
    """What one answer of a control plane holds, whatever it came over.

    Args:
        codec: what reads its resources.
        resources: their bytes, type and all, in any order, to be read once: those that are known already are never all
            there twice.
        size: how many bytes came.
    """

    codec: ResourceCodec
    resources: Iterable[bytes]
    size: int = 0


class Decoder:
    """Decodes the responses of one control plane, over all its connections.

    MADS repeats every assignment in every response, in random order. A resource whose bytes were in the last response
    is recognised by them, at the cost of a look-up; only the others are decoded.

    Args:
        control_plane: its name, which becomes part of each key.
        most: how many bytes the targets of assignments that hold several may take together: each repeats the
            assignment's labels, so that they may be far larger than what came.
    """

    def __init__(self, control_plane: str, most: int = 2**28) -> None:
        self._control_plane = control_plane
        self._most = most
        self._expanded = 0
        self._codec: ResourceCodec | None = None
        # Exactly the resources of the last response, and what each was split into.
        self._known: dict[bytes, Parts] = {}
        self._failures: dict[bytes, Exception] = {}
        self._assignments: list[Assignment] = []
        self._namesakes = False
        self._reported: frozenset[bytes] = frozenset()
        self.decoded = 0
        self.parse_errors = 0

    @property
    def unreadable(self) -> int:
        """How many resources of the last response cannot be understood."""
        return len(self._reported)

    def decode(self, response: MadsResponse) -> tuple[Sequence[Assignment], frozenset[bytes]]:
        """Return all assignments of a response, sorted by key, and digests of the resources that cannot be read.

        Raises:
            SourceError: there are resources, and none of them parses.
        """
        if response.codec is not self._codec:
            self._codec, self._known, self._failures, self._assignments = response.codec, {}, {}, []
            self._expanded = 0
        # What stays of it is not in the response any more. A resource may also be there twice.
        gone = self._known.copy()
        fresh = {resource for resource in response.resources if gone.pop(resource, None) is None}
        fresh.difference_update([resource for resource in fresh if resource in self._known])
        if gone or fresh:
            self._assignments = self._patched(gone, fresh)
        self._report()
        if self._failures and not self._assignments:
            raise SourceError("nothing in the response can be understood")
        return self._assignments, self._reported

    def _patched(self, gone: Mapping[bytes, Parts], fresh: Collection[bytes]) -> list[Assignment]:
        """Return the assignments after a change; a few are put in their places without looking at the others."""
        removed = flattened(gone.values(), Assignment)
        for resource in gone:
            self._expanded -= _expanded(self._known.pop(resource))
            self._failures.pop(resource, None)
        self._known.update((resource, self._attempt(resource)) for resource in fresh)
        added = flattened(map(self._known.__getitem__, fresh), Assignment)
        if len(removed) + len(added) <= FEW and not self._namesakes:
            patched = self._assignments.copy()
            for assignment in removed:
                del patched[bisect_left(patched, assignment.key, key=_KEY)]
            for assignment in added:
                place = bisect_left(patched, assignment.key, key=_KEY)
                self._namesakes |= place < len(patched) and patched[place].key == assignment.key
                patched.insert(place, assignment)
        else:
            # Texts alone are compared three times as fast as keys, and equal ones stay in order.
            patched = sorted(flattened(self._known.values(), Assignment), key=attrgetter("key.name"))
            patched.sort(key=attrgetter("key.mesh"))
            keys = list(map(_KEY, patched))
            self._namesakes = any(map(eq, keys, islice(keys, 1, None)))
        return _numbered(patched) if self._namesakes else patched

    def _attempt(self, resource: bytes) -> Parts:
        codec, control_plane = self._codec, self._control_plane
        assert codec is not None
        self.decoded += 1
        parts: list[Assignment] = []
        room = self._most - self._expanded
        try:
            for mesh, name, data in codec.split(resource):
                parts.append(Assignment(Key(control_plane, mesh, name, 0), data, codec))
                room -= len(data) + OVERHEAD
                if room < 0 and len(parts) > 1:
                    raise SourceError(_TOO_MUCH)  # noqa: TRY301 (what reads it may raise the same)
        except Exception as error:  # noqa: BLE001 (whatever the bytes do to a codec, the others are read)
            self._failures[resource] = error
            return ()
        if len(parts) == 1:
            return parts[0]
        self._expanded += _expanded(tuple(parts))
        return tuple(parts)

    def _report(self) -> None:
        failures = {digest(resource): error for resource, error in self._failures.items()}
        new = failures.keys() - self._reported
        if new:
            _log.warning(
                "control plane %s: %s cannot be understood and take nothing away; first: %s",
                self._control_plane or "(unnamed)",
                counted(len(failures), "assignment"),
                failures[min(new)],
            )
        self.parse_errors += len(new)
        self._reported = frozenset(failures)


def digest(resource: bytes) -> bytes:
    """Return what a resource that cannot be read is known by."""
    import hashlib  # noqa: PLC0415 (late, since it loads OpenSSL, and most answers can be read)

    return hashlib.blake2b(resource, digest_size=16).digest()


def foreign(codec: ResourceCodec, type_url: str, version: str) -> str:
    """Say why a response is not one of MADS, whatever else is in it; empty if it is one.

    Every response of every Kuma says its type and version, one without any assignment too.
    """
    if not type_url:
        return "it has no type_url"
    if type_url != codec.type_url:
        return f"its type_url is {type_url!r}"
    return "" if version else "it has no version_info"


def _expanded(parts: Parts) -> int:
    return sum(len(part.data) + OVERHEAD for part in parts) if isinstance(parts, tuple) else 0


def _numbered(assignments: Iterable[Assignment]) -> list[Assignment]:
    """Tell targets of equal names apart by the order of their bytes; equal ones are one."""
    numbered: list[Assignment] = []
    for _, namesakes in groupby(assignments, key=_KEY):
        unique = {namesake.data: namesake for namesake in namesakes}
        for place, data in enumerate(sorted(unique)):
            one = unique[data]
            numbered.append(replace(one, key=replace(one.key, ordinal=place)) if place else one)
    return numbered
