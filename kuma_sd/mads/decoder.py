"""From the resources of a response to the assignments of a snapshot, without decoding what did not change."""

import logging
from bisect import insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, compress, groupby
from operator import itemgetter

from kuma_sd.errors import SourceError
from kuma_sd.mads.codecs import ResourceCodec
from kuma_sd.memo import Memo
from kuma_sd.model import Assignment, Key
from kuma_sd.wording import counted

_log = logging.getLogger(__name__)

# Assignments are looked at by the hundred thousand, so in C where that is possible.
_KEY, _DATA = itemgetter(0), itemgetter(1)

FEW = 100
"""Up to how many new assignments are put in their places one by one."""


@dataclass(frozen=True, slots=True)
class Response:
    """What one answer of a control plane holds, whatever it came over.

    Args:
        codec: what reads its resources.
        resources: their bytes, in any order.
        foreign: the type URLs of resources that are something else.
    """

    codec: ResourceCodec
    resources: Sequence[bytes]
    foreign: frozenset[str] = frozenset()


class Decoder:
    """Decodes the responses of one control plane, over all its connections.

    MADS repeats every assignment in every response, in random order. An assignment whose bytes were in the last
    response is recognised by them; only the others are decoded.

    Args:
        control_plane: its name, which becomes part of each key.
    """

    def __init__(self, control_plane: str) -> None:
        self._control_plane = control_plane
        self._codec: ResourceCodec | None = None
        self._assignments: list[Assignment] = []
        self._memo: Memo[bytes, bytes, tuple[Assignment, ...]] = Memo(self._split)
        self._namesakes = False
        self._reported: frozenset[object] = frozenset()

    @property
    def decoded(self) -> int:
        """How many resources were decoded so far."""
        return self._memo.computed

    def decode(self, response: Response) -> tuple[Sequence[Assignment], bool]:
        """Return all assignments of a response, sorted by key, and whether everything in it parsed.

        Raises:
            SourceError: there are resources, and none of them parses.
        """
        if response.codec is not self._codec:
            self._codec, self._assignments = response.codec, []
            self._memo.round(())
        arrived = set(response.resources)
        known = list(map(_DATA, self._assignments))
        kept = list(compress(self._assignments, map(arrived.__contains__, known)))
        # What is left is new, did not parse, or is one of several targets of a resource: the memo knows the latter two.
        rest = arrived.difference(known)
        assignments = self._assignments
        if rest or self._memo.failures or len(kept) != len(assignments):
            fresh = list(chain.from_iterable(self._memo.round(zip(rest, rest, strict=True))))
            assignments = self._number(_merged(kept, fresh))
        complete = not (self._memo.failures or response.foreign)
        self._report(response.foreign)
        if not complete and not assignments:
            raise SourceError("nothing in the response can be understood")
        self._assignments = assignments
        return assignments, complete

    def _split(self, resource: bytes) -> tuple[Assignment, ...]:
        codec = self._codec
        assert codec is not None
        return tuple(
            Assignment(Key(self._control_plane, mesh, name, 0), data, codec)
            for mesh, name, data in codec.split(resource)
        )

    def _number(self, assignments: list[Assignment]) -> list[Assignment]:
        """Tell targets of equal names apart by the order of their bytes."""
        if not self._namesakes and len(set(map(_KEY, assignments))) == len(assignments):
            return assignments
        numbered: list[Assignment] = []
        codec = self._codec
        assert codec is not None
        for (mesh, name), equals in groupby(assignments, key=lambda one: (one.key.mesh, one.key.name)):
            data = sorted({one.data for one in equals})
            keys = (Key(self._control_plane, mesh, name, index) for index in range(len(data)))
            numbered.extend(Assignment(key, one, codec) for key, one in zip(keys, data, strict=True))
        self._namesakes = any(assignment.key.ordinal for assignment in numbered)
        return numbered

    def _report(self, foreign: Iterable[str]) -> None:
        problems: frozenset[object] = frozenset(self._memo.failures).union(foreign)
        if problems - self._reported:
            reasons = [str(error) for error in self._memo.failures.values()]
            reasons += [f"unknown type {type_url}" for type_url in foreign]
            _log.warning(
                "control plane %s: %s cannot be understood and take nothing away; first: %s",
                self._control_plane or "(unnamed)",
                counted(len(problems), "assignment"),
                reasons[0],
            )
        self._reported = problems


def _merged(kept: list[Assignment], fresh: list[Assignment]) -> list[Assignment]:
    """Add assignments to others that are sorted; a few of them find their places without looking at all."""
    if len(fresh) > FEW:
        return sorted(chain(kept, fresh), key=_KEY)
    for assignment in fresh:
        insort(kept, assignment, key=_KEY)
    return kept
