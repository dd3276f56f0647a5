"""Giving freed memory back to the system."""

import ctypes
import functools
from collections.abc import Callable


def give_back() -> None:
    """Return what is free: a large response leaves many holes behind, which glibc keeps until it is asked."""
    _trim()(0)


@functools.cache
def _trim() -> Callable[[int], int]:
    # Other C libraries have no such function, and need none.
    trim: Callable[[int], int] = getattr(ctypes.CDLL(None), "malloc_trim", lambda _keep: 0)
    return trim
