"""Remember what stands in many targets as it is written in JSON. All of it comes from outside, so it is bounded."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import msgspec

MOST = 10_000
"""Maximum number of labels, or of other things, that are remembered."""

LONGEST = 500
"""Maximum length of one, in characters."""

K = TypeVar("K")
V = TypeVar("V")

Label = Callable[[Any], tuple[str, str]]
"""Decodes a label: its name and value."""

in_json = msgspec.json.Encoder().encode
"""Writes a text in JSON. Numbers are accepted as well, so concatenate what may be one with a text before."""


class Labels(dict[Hashable, tuple[str, bytes]]):
    """Names of labels, and their values in JSON, by their encoded form; without a value, a label is absent: no name."""

    def __init__(self, label: Label) -> None:
        self._label = label

    def __missing__(self, encoded: Hashable) -> tuple[str, bytes]:
        name, value = self._label(encoded)
        return _remember(self, encoded, (name if value else "", in_json("" + value)), len(name) + len(value))


class Facts(dict[tuple[str, ...], tuple[bytes, ...]]):
    """The facts about a target in JSON; nothing if one of them is empty, which means that it is absent."""

    def __missing__(self, facts: tuple[str, ...]) -> tuple[bytes, ...]:
        written = tuple(in_json("" + fact) for fact in facts) if all(facts) else ()
        return _remember(self, facts, written, sum(map(len, facts)))


def _remember(memory: dict[K, V], key: K, value: V, length: int) -> V:
    if length <= LONGEST:
        if len(memory) >= MOST:
            memory.clear()
        memory[key] = value
    return value
