"""Recompute values only for items that changed."""

from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import chain, islice, repeat
from operator import attrgetter
from typing import Any, Generic, TypeVar, cast

from kuma_sd.core.list_diff import changed_ranges

K = TypeVar("K")
S = TypeVar("S")
V = TypeVar("V")


class IncrementalCache(Generic[K, S, V]):
    """Caches a value for each key of the last round; it is valid while the item that it was computed from is equal.

    Items that are the same objects, in the same order, as in the last round are not looked up.

    Args:
        compute: computes the value of an item; must depend on nothing else.
        key: returns the identity of an item; by default its attribute ``key``.

    If a computation raises, the key keeps its previous value, if it has one; it is not retried until the item changes.
    """

    def __init__(self, compute: Callable[[S], V], key: Callable[[S], K] = attrgetter("key")) -> None:
        self._compute = compute
        self._key: Callable[[Any], K] = key
        # The last round, in its order: two lists take a sixth of the memory of a dictionary of pairs.
        self._items: list[S] = []
        self._values: list[V | None] = []
        self._failures: dict[K, BaseException] = {}
        self._fallback: Callable[[], Mapping[K, V]] | None = None
        self.computed = 0

    @property
    def failures(self) -> Mapping[K, BaseException]:
        """The keys whose values could not be computed in the last round, and the errors."""
        return self._failures

    def values_of(self, keys: Collection[K]) -> dict[K, V]:
        """Return the values of some keys of the last round; takes linear time."""
        pairs = zip(map(self._key, self._items), self._values, strict=True)
        return {key: value for key, value in pairs if value is not None and key in keys} if keys else {}

    def values_later(self) -> Callable[[], dict[K, V]]:
        """Return a function that returns the values of this last round by key, even after further rounds."""
        items, values, fallback = self._items, self._values.copy(), self._fallback

        def by_key() -> dict[K, V]:
            found = dict(fallback()) if fallback else {}
            pairs = zip(map(self._key, items), values, strict=True)
            found.update((key, value) for key, value in pairs if value is not None)
            return found

        return by_key

    def clear(self) -> None:
        """Forget the last round, whose keys mean something else now."""
        self._items = []
        self._values = []
        self._failures = {}

    def fall_back_on(self, values: Callable[[], Mapping[K, V]]) -> None:
        """Set fallback values for the next round, for keys that cannot be computed and have no earlier value.

        Args:
            values: returns them by key; called at the first failure.
        """
        self._fallback = values

    def round(self, items: Iterable[S]) -> list[V]:
        """Return the values of these items, in their order, and forget all other keys.

        Args:
            items: the items, each key once. An item without a value is left out of the result.
        """
        before, after = self._items, list(items)
        ranges = changed_ranges(before, after)
        gone = list(chain.from_iterable(zip(before[old], self._values[old], strict=True) for old, _ in ranges))
        fresh = list(chain.from_iterable(after[new] for _, new in ranges))
        computed = iter(self._computed(gone, fresh))
        self._fallback = None
        replacements = [list(islice(computed, new.stop - new.start)) for _, new in ranges]
        # From the end, so that earlier indexes stay valid.
        for (old, _), values in zip(reversed(ranges), reversed(replacements), strict=True):
            self._values[old] = values
        self._items = after
        if not self._failures:
            # Each has a value here, which the type cannot express.
            return cast("list[V]", self._values.copy())
        return [value for value in self._values if value is not None]

    def get(self, key: K) -> V | None:
        """Return the value of a key of the last round, None for others; takes linear time."""
        found = (value for item, value in zip(self._items, self._values, strict=True) if self._key(item) == key)
        return next(found, None)

    def __contains__(self, key: K) -> bool:
        return key in map(self._key, self._items)

    def __len__(self) -> int:
        return len(self._items)

    def _computed(self, gone: list[tuple[S, V | None]], fresh: list[S]) -> list[V | None]:
        """Return the values of items that replace others.

        Args:
            gone: the items of the last round that are replaced, each with its value.
            fresh: the items that replace them.
        """
        old, new = [self._key(item) for item, _ in gone], list(map(self._key, fresh))
        if old == new:
            # In most large changes; otherwise each key is hashed, which takes as long as creating it.
            return list(map(self._value, new, fresh, gone))
        known = dict(zip(old, gone, strict=True))
        values = list(map(self._value, new, fresh, (known.pop(key, None) for key in new) if known else repeat(None)))
        # The keys that are left do not occur in this round.
        for key in known:
            self._failures.pop(key, None)
        return values

    def _value(self, key: K, item: S, before: tuple[S, V | None] | None) -> V | None:
        if before and (before[0] is item or before[0] == item):
            return before[1]
        self.computed += 1
        try:
            value = self._compute(item)
        except (Exception, SystemExit) as error:  # noqa: BLE001 (the boundary to decoders and plugins: the owner reports failures)
            self._failures[key] = error
            return before[1] if before else self._fallback_value(key)
        if self._failures:
            self._failures.pop(key, None)
        return value

    def _fallback_value(self, key: K) -> V | None:
        if self._fallback is None:
            return None
        values = self._fallback()
        self._fallback = lambda: values
        return values.get(key)
