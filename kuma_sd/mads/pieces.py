"""Split a response into its resources piece by piece, so that they are counted before there are too many of them.

A loop of Python over all resources would take as long as all the rest of decoding. So a piece ends where a resource
seems to end. That it can be parsed proves that one does end there: neither JSON nor protobuf can be parsed up to a
place inside a resource. Where it cannot be parsed, the resources are gone through one by one.
"""

from collections.abc import Iterable, Iterator, Sized
from itertools import chain
from typing import Protocol

from kuma_sd.core.value_limits import TooManyValuesError
from kuma_sd.mads.errors import GarbledError

PIECE = 2**18
"""Size of most pieces, in bytes. One that ends elsewhere has up to twice as many, or a resource that is larger."""

ADVICE = "raise max-message-size if that is right"


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
    """The resources of a response. Each is copied from it only while it is used.

    Args:
        encoded: the list of resources.
        start: where it begins.
        most: how many there may be.

    Raises:
        GarbledError: the list cannot be parsed.
        TooManyValuesError: it has too many resources.
    """

    def __init__(self, encoded: Encoded, start: int, most: int) -> None:
        self._encoded = encoded
        self._most = most
        self._steps = 0
        self.end = start
        """Where the list ends."""
        self._pieces = [*self._split()]

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes of each resource."""
        return chain.from_iterable(self._pieces)

    def __len__(self) -> int:
        return sum(map(len, self._pieces))

    def _split(self) -> Iterator[Piece]:
        count = 0
        while not self._encoded.is_end(self.end):
            piece = self._next()
            count += len(piece)
            self._refuse_more_than_most(count)
            yield piece

    def _next(self) -> Piece:
        start = self.end
        guessed = self._encoded.guess(start, PIECE)
        if guessed > start:
            try:
                piece = self._encoded.read(start, guessed)
            except GarbledError:
                pass
            else:
                self.end = guessed
                return piece
        while self.end < start + PIECE and not self._encoded.is_end(self.end):
            self.end = self._encoded.following(self.end)
            self._steps += 1
            # This is slow, also for what is no resource, of which there is little.
            self._refuse_more_than_most(self._steps // 2)
        return self._encoded.read(start, self.end)

    def _refuse_more_than_most(self, count: int) -> None:
        if count > self._most:
            raise TooManyValuesError(self._most, "the response", ADVICE)
