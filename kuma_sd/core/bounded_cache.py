"""Caches that stay small. The length of texts from outside is not bounded, so their number alone is no limit."""

from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

LONGEST_REMEMBERED = 1024
"""Maximum total length of the texts of one entry, in characters. Results for longer texts are computed each time."""

Text = TypeVar("Text", str, tuple[str, ...])
Result = TypeVar("Result")
Key = TypeVar("Key")
Value = TypeVar("Value")


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


def remember_newest(memory: OrderedDict[Key, Value], key: Key, value: Value, most: int) -> None:
    """Add an entry as the newest one; the oldest one goes if there are too many.

    Args:
        memory: the entries, the oldest first.
        key: the key of the entry.
        value: its value.
        most: maximum number of entries.
    """
    memory[key] = value
    memory.move_to_end(key)
    if len(memory) > most:
        memory.popitem(last=False)
