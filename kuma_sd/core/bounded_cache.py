"""Cache results for short texts only: the length of texts from outside is not bounded, so their number is no limit."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

LONGEST_REMEMBERED = 1024
"""Maximum total length of the texts of one entry, in characters. Results for longer texts are computed each time."""

Text = TypeVar("Text", str, tuple[str, ...])
Result = TypeVar("Result")


def remember_short(entries: int) -> Callable[[Callable[[Text], Result]], Callable[[Text], Result]]:
    """Return a decorator that caches the newest results of a function of one or more texts.

    Args:
        entries: the maximum number of cached results.
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
