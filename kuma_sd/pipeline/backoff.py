"""How long to wait before trying again."""

import random


class Backoff:
    """Exponential back-off with jitter, so that a thousand clients of one server do not return at once.

    Args:
        first: the longest first wait, in seconds.
        longest: the longest of all waits, in seconds.
    """

    def __init__(self, first: float = 0.5, longest: float = 30.0) -> None:
        self._first = first
        self._longest = longest
        self._tries = 0

    def next(self) -> float:
        """Return the next wait, in seconds: between half of the present bound and all of it."""
        bound = min(self._longest, self._first * 2.0 ** min(self._tries, 32))
        self._tries += 1
        return bound * random.uniform(0.5, 1.0)  # noqa: S311 (spreads load, guards no secret)

    def reset(self, tries: int = 0) -> None:
        """Begin anew, after a success.

        Args:
            tries: how many tries count as made already.
        """
        self._tries = tries
