"""Track the number of parts, and former numbers that Prometheus may still be configured for."""

import math
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated

import msgspec

from kuma_sd import UNREADABLE, Logger, open_trusted, replace_file
from kuma_sd_bundled.file_sd.parts import MOST_PARTS

_log = Logger(__name__)

FEWER_OVERLAP_SECONDS = 30.0
"""How long targets stay in removed parts, in seconds: Prometheus reads the other parts as soon as they are written."""

RECORD_MODE = 0o600

LARGEST_RECORD = 2**16
"""Maximum size of the record that is read, in bytes."""


_Count = Annotated[int, msgspec.Meta(ge=1, le=MOST_PARTS)]


class _Record(msgspec.Struct):
    """The saved record: the number of parts, and former numbers.

    Each former number has the end of its overlap in seconds of ``time.time()``; None if the overlap has not begun.
    """

    parts: _Count
    former: dict[_Count, float | None] = {}


class PartCounts:
    """The number of parts, and former numbers by which targets stay in their old parts for a while.

    An overlap begins when every target is written to its part for each number, so that no target leaves its old part
    before it is in its new one.

    Args:
        current: the number of parts.
        overlap: how long targets stay in their old parts when the number of parts grows, in seconds.
        clock: like ``time.monotonic()``.
        wall_clock: like ``time.time()``; decides about what was saved by another process only.
    """

    def __init__(
        self,
        current: int,
        overlap: float,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.current = current
        self._overlap = overlap
        self._clock = clock
        self._wall_clock = wall_clock
        # The end of each overlap on the clock; infinite if it has not begun.
        self._former: dict[int, float] = {}

    @property
    def former(self) -> list[int]:
        """The former numbers whose overlap is not over."""
        return sorted(self._former)

    @property
    def all(self) -> frozenset[int]:
        """The numbers by which targets are divided."""
        return frozenset({self.current, *self._former})

    @property
    def due(self) -> frozenset[int]:
        """The former numbers whose overlap is over."""
        now = self._clock()
        return frozenset(count for count, until in self._former.items() if until <= now)

    @property
    def state(self) -> object:
        """A value that changes whenever the record to save changes."""
        return self.current, frozenset(self._former.items())

    @property
    def next_end(self) -> float | None:
        """The seconds until the next overlap is over, 0 if one is already; None if none is running."""
        ends = [until for until in self._former.values() if until < math.inf]
        return max(0.0, min(ends) - self._clock()) if ends else None

    def until(self, count: int) -> float:
        """Return when the overlap of a former number is over, in seconds of ``time.time()``."""
        return self._wall_clock() + self.remaining(count)

    def remaining(self, count: int) -> float:
        """Return how long the overlap of a former number lasts, in seconds; infinite while it has not begun."""
        return max(0.0, self._former[count] - self._clock())

    def begin(self) -> list[int]:
        """Begin the pending overlaps, since everything is written; returns their numbers."""
        begun = [count for count, until in self._former.items() if until == math.inf]
        for count in begun:
            self._former[count] = self._clock() + self._length(count)
        return begun

    def end_early(self) -> list[int]:
        """End the overlaps that give time to configure more parts in Prometheus; returns their numbers."""
        ended = [count for count in self._former if count < self.current]
        for count in ended:
            self._former[count] = -math.inf
        return ended

    def forget(self, counts: Collection[int]) -> None:
        """Forget former numbers."""
        for count in counts:
            del self._former[count]

    def save(self, path: Path) -> None:
        """Save the numbers.

        Raises:
            OutputError: the record cannot be written.
        """
        former = {count: None if until == math.inf else self.until(count) for count, until in self._former.items()}
        replace_file(path, [msgspec.json.encode(_Record(self.current, former))], RECORD_MODE)

    def load(self, path: Path, existing: Callable[[], int]) -> None:
        """Load the saved numbers, or derive them from the existing files.

        Args:
            path: the path of the record.
            existing: returns how many parts have files; called if nothing was saved.
        """
        record = _read(path) or _Record(existing())
        for count, until in {**record.former, record.parts: None}.items():
            if count not in (0, self.current):
                self._former[count] = math.inf if until is None else self._clock() + self._left(count, until)

    def _left(self, count: int, until: float) -> float:
        # A clock that was set back must not make the overlap longer.
        return min(max(0.0, until - self._wall_clock()), self._length(count))

    def _length(self, count: int) -> float:
        return self._overlap if count < self.current else FEWER_OVERLAP_SECONDS


def _read(path: Path) -> _Record | None:
    try:
        with open_trusted(path) as file:
            return msgspec.json.decode(file.read(LARGEST_RECORD), type=_Record)
    except FileNotFoundError:
        return None
    except (OSError, *UNREADABLE) as error:
        _log.warning(
            "the record of the parts cannot be read; their former number is taken from the files",
            file=path,
            reason=error,
        )
        return None
