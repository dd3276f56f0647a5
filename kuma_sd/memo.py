"""The one cache: unchanged work is never done twice."""

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K")
S = TypeVar("S")
V = TypeVar("V")


class Memo(Generic[K, S, V]):
    """Results by key, for exactly the keys of the last round, each valid while what it was computed from is equal.

    Args:
        compute: makes a value from what stands at a key; must depend on nothing else.

    A computation that raises keeps the key's previous value, if it has one, and is not tried again until what it is
    computed from changes.
    """

    def __init__(self, compute: Callable[[S], V]) -> None:
        self._compute = compute
        self._entries: dict[K, tuple[S, V | None]] = {}
        self._failures: dict[K, Exception] = {}
        self.computed = 0

    @property
    def failures(self) -> Mapping[K, Exception]:
        """What could not be computed in the last round, and why."""
        return self._failures

    def round(self, items: Iterable[tuple[K, S]]) -> list[V]:
        """Return the values of these items, in their order; keys that were not asked for are forgotten.

        Args:
            items: keys, and what their values are computed from. A key without any value is left out of the result.
        """
        kept, fresh = self._entries, {}
        for key, item in items:
            entry = kept.get(key)
            if entry is None or (entry[0] is not item and entry[0] != item):
                entry = (item, self._attempt(key, item, entry and entry[1]))
            fresh[key] = entry
        self._entries = fresh
        if self._failures:
            self._failures = {key: error for key, error in self._failures.items() if key in fresh}
        return [entry[1] for entry in fresh.values() if entry[1] is not None]

    def get(self, key: K) -> V | None:
        """Return the value of a key of the last round; None for others."""
        entry = self._entries.get(key)
        return entry and entry[1]

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def _attempt(self, key: K, item: S, previous: V | None) -> V | None:
        self.computed += 1
        try:
            value = self._compute(item)
        except Exception as error:  # noqa: BLE001 (the boundary to decoders and plugins: the owner reports failures)
            self._failures[key] = error
            return previous
        self._failures.pop(key, None)
        return value
