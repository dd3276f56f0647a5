"""Bound what counting costs: a publication is counted on request only, and constant requests get an earlier result."""

import threading
import time
import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

from kuma_sd.core.publication import Publication

SHARE = 0.05
"""Maximum share of the time that counting may take under constant requests and new publications."""

T = TypeVar("T")


class Measured(Generic[T]):
    """Caches a measurement of the last publication; any thread may use it.

    If measuring is slow, the last result is reused for a while, so that constant requests take at most SHARE of the
    time.

    Args:
        measure: measures a publication.
        nothing: the result without a publication.
    """

    def __init__(self, measure: Callable[[Publication], T], nothing: T) -> None:
        self._measure = measure
        self._value = self._nothing = nothing
        # Weak, since a publication is large, and the next request may come much later.
        self._last: Callable[[], Publication | None] = lambda: None
        self._good_until = float("-inf")
        self._lock = threading.Lock()

    def of(self, publication: Publication | None) -> T:
        """Return the measurement of a publication, or that of an earlier one if it is recent."""
        if publication is None:
            return self._nothing
        with self._lock:
            began = time.monotonic()
            if publication is not self._last() and began >= self._good_until:
                self._value = self._measure(publication)
                self._last = weakref.ref(publication)
                ended = time.monotonic()
                self._good_until = ended + (ended - began) / SHARE
            return self._value
