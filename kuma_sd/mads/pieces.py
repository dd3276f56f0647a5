"""Split a response into its resources piece by piece, so that they are counted before there are too many of them.

A loop of Python over all resources would take as long as all the rest of decoding. So a piece ends where a resource
seems to end. That it can be parsed proves that one does end there: neither JSON nor protobuf can be parsed up to a
place inside a resource. Where it cannot be parsed, the resources are gone through one by one.
"""

from collections.abc import Iterable, Iterator, Sequence, Sized
from contextlib import suppress
from itertools import chain
from typing import Protocol

from kuma_sd.core.value_limits import TooManyValuesError
from kuma_sd.mads.errors import GarbledError

PIECE = 2**18
"""Size of most pieces, in bytes. One that ends elsewhere has up to twice as many, or a resource that is larger."""


class Piece(Sized, Iterable[bytes], Protocol):
    """Some resources; their bytes may be made at each iteration."""


class Encoded(Protocol):
    """A list of resources in some encoding. Its places are offsets at which it begins, or a resource ends."""

    def is_end(self, place: int) -> bool:
        """Tell whether the list ends at a place."""

    def guess(self, start: int, size: int) -> int:
        """Return a place where a resource seems to end; -1 if there is none.

        Args:
            start: a place.
            size: how far behind it to search, in bytes; the found one is less than twice as far.
        """

    def following(self, place: int) -> int:
        """Return where the resource behind a place ends.

        Raises:
            GarbledError: there is none.
        """

    def read(self, start: int, end: int) -> Piece:
        """Return the resources between two places.

        Raises:
            GarbledError: what is there cannot be parsed by itself.
        """


class Resources:
    """The resources of a response. The bytes of each are made only while it is used.

    Args:
        pieces: all of them.
        end: where their list ends.
    """

    def __init__(self, pieces: Sequence[Piece], end: int) -> None:
        self._pieces = pieces
        self.end = end

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes of each resource."""
        return chain.from_iterable(self._pieces)

    def __len__(self) -> int:
        return sum(map(len, self._pieces))


def split(encoded: Encoded, start: int, most: int) -> Resources:
    """Split a list into resources. What is returned holds nothing of the list but what its pieces hold.

    Args:
        encoded: the list of resources.
        start: where it begins.
        most: how many there may be.

    Raises:
        GarbledError: the list cannot be parsed.
        TooManyValuesError: it has too many resources.
    """
    splitter = _Splitter(encoded, start, most)
    return Resources([*splitter.pieces()], splitter.place)


class _Splitter:
    def __init__(self, encoded: Encoded, start: int, most: int) -> None:
        self._encoded = encoded
        self.place = start
        self._most = most
        self._steps = 0

    def pieces(self) -> Iterator[Piece]:
        count = 0
        while not self._encoded.is_end(self.place):
            piece = self._next()
            count += len(piece)
            self._refuse_more_than_most(count)
            yield piece

    def _next(self) -> Piece:
        start = self.place
        guessed = self._encoded.guess(start, PIECE)
        if guessed > start:
            with suppress(GarbledError):
                piece = self._encoded.read(start, guessed)
                self.place = guessed
                return piece
        while self.place < start + PIECE and not self._encoded.is_end(self.place):
            self.place = self._encoded.following(self.place)
            self._steps += 1
            # This is slow, also for what is no resource, of which there is little.
            self._refuse_more_than_most(self._steps // 2)
        return self._encoded.read(start, self.place)

    def _refuse_more_than_most(self, count: int) -> None:
        if count > self._most:
            raise TooManyValuesError(
                f"the response has more than {self._most:,} resources; raise max-message-size if that is right"
            )
