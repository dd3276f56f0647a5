"""Remembers results for short texts: a cache of texts from outside that is bounded by their number alone can grow."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

LONGEST_REMEMBERED = 1024
"""How long the texts of one entry may be together, in characters. Longer ones are rare, and computed each time."""

Text = TypeVar("Text", str, tuple[str, ...])
Result = TypeVar("Result")


def remember_short(entries: int) -> Callable[[Callable[[Text], Result]], Callable[[Text], Result]]:
    """Return a decorator for a function of a text, or of several, whose newest results are remembered.

    Args:
        entries: for how many arguments.
    """

    def decorate(function: Callable[[Text], Result]) -> Callable[[Text], Result]:
        remembered = lru_cache(entries)(function)

        @wraps(function)
        def call(text: Text) -> Result:
            size = len(text) if isinstance(text, str) else sum(map(len, text))
            return remembered(text) if size <= LONGEST_REMEMBERED else function(text)

        call.cache_info = remembered.cache_info  # type: ignore[attr-defined]
        return call

    return decorate
