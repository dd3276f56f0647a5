"""Read a large response piece by piece, so that its values are counted before there are too many of them.

Where one resource ends and the next begins is known only when all before it was parsed, and a loop of Python over all
resources would take as long as all the rest of decoding. So a piece ends where the next resource seems to begin. That
it can be parsed proves that the next one does begin there: neither JSON nor protobuf can be parsed up to a place inside
a resource. If it cannot be parsed, it ends further on.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import reduce
from itertools import chain
from typing import NamedTuple, Protocol

from kuma_sd.core.value_limits import TooManyValuesError
from kuma_sd.mads.errors import GarbledError

PIECE = 2**18
"""Size of most pieces, in bytes."""

_LONGEST_BEFORE = 100
"""How far before the mark a resource may begin, in bytes."""

ADVICE = "raise max-message-size if that is right"


class Boundary(NamedTuple):
    """The begin of a resource: rare text that all begin with, and what stands before it.

    Args:
        mark: the text, which is found far faster than a pattern is.
        before: a pattern of what stands directly before it; it begins where a resource does.
    """

    mark: bytes
    before: re.Pattern[bytes]

    def following(self, data: bytes, place: int) -> int:
        """Return where the first resource at a place or behind it seems to begin; the end if there is none."""
        found = data.find(self.mark, place)
        while found >= 0:
            begin = self.before.search(data, max(place, found - _LONGEST_BEFORE), found)
            if begin:
                return begin.start()
            found = data.find(self.mark, found + 1)
        return len(data)


class Envelope(NamedTuple):
    """What a response has besides resources; empty text for what is missing."""

    type_url: str = ""
    version: str = ""
    nonce: str = ""

    def followed_by(self, other: "Envelope") -> "Envelope":
        """Return the envelope of a response that goes on with another part."""
        return Envelope(other.type_url or self.type_url, other.version or self.version, other.nonce or self.nonce)


class Piece(NamedTuple):
    """A part of a response.

    Args:
        envelope: what it has besides resources.
        size: the number of resources.
        resources: their bytes.
    """

    envelope: Envelope
    size: int
    resources: Iterable[bytes]


def _united(pieces: Iterable[Piece]) -> Envelope:
    return reduce(Envelope.followed_by, (piece.envelope for piece in pieces))


class ReadPiece(Protocol):
    """Reads a part of a response."""

    def __call__(self, start: int, end: int) -> Piece:
        """Return the part between two offsets, each that of a boundary or of an end of the response.

        Raises:
            GarbledError: it cannot be parsed by itself.
            TooManyValuesError: it has too many values to be parsed.
        """


class PieceByPiece:
    """The resources of a response. They are made at each iteration, so that they are never all in memory.

    Args:
        data: the response.
        boundary: how to find where a resource begins.
        read: reads a piece, from the boundary before it to the one behind it.
        most: how many resources a response may have.

    Raises:
        GarbledError: its beginning or its end cannot be parsed.
        TooManyValuesError: they have too many values.
    """

    def __init__(self, data: bytes, boundary: Boundary, read: ReadPiece, most: int) -> None:
        self._data = data
        self._boundary = boundary
        self._read = read
        self._most = most
        # What was parsed for the envelope is used by the first iteration. Most responses have no other piece.
        self._first: Piece | None = None
        self.envelope = self._envelope()

    def __iter__(self) -> Iterator[bytes]:
        """Yield the resources.

        Raises:
            GarbledError: the response cannot be parsed.
            TooManyValuesError: it has too many resources, or other values.
        """
        return chain.from_iterable(self._resources())

    def _envelope(self) -> Envelope:
        """Return what stands before and behind the resources; reading them shows later whether that is right."""
        whole, end = len(self._data), self._next_boundary(PIECE)
        parts = [(0, end)] if end == whole else [(0, end), (self._next_boundary(max(end, whole - PIECE)), whole)]
        with suppress(GarbledError):
            pieces = [self._counted(*part) for part in parts]
            envelope = _united(pieces)
            if envelope.type_url and envelope.version:
                self._first = pieces[0]
                return envelope
        return _united(self._pieces())

    def _resources(self) -> Iterator[Iterable[bytes]]:
        count, envelope = 0, Envelope()
        for piece in self._pieces():
            count += piece.size
            if count > self._most:
                raise TooManyValuesError(self._most, "the response", ADVICE)
            envelope = envelope.followed_by(piece.envelope)
            yield piece.resources
        if envelope != self.envelope:
            raise GarbledError("its answer is no MADS response (its parts contradict each other)")

    def _pieces(self) -> Iterator[Piece]:
        start, size, whole = 0, PIECE, len(self._data)
        end = -1
        while end < whole:
            end = self._next_boundary(start + size)
            try:
                piece = self._first or self._counted(start, end)
                self._first = None
            except GarbledError:
                if end == whole:
                    raise
                size *= 2
            else:
                yield piece
                start, size = end, PIECE

    def _next_boundary(self, place: int) -> int:
        return self._boundary.following(self._data, place)

    def _counted(self, start: int, end: int) -> Piece:
        try:
            return self._read(start, end)
        except TooManyValuesError as error:
            raise TooManyValuesError(self._most, "the response", ADVICE) from error
