"""Compute the wait before the next attempt."""

import random

LONGEST_RETRY_AFTER = 300.0
"""Maximum wait that a server may ask for, in seconds."""


class Backoff:
    """Exponential back-off with jitter, so that a thousand clients of one server do not return at once.

    Args:
        first: the maximum of the first wait, in seconds.
        longest: the maximum of every wait, in seconds.
    """

    def __init__(self, first: float = 0.5, longest: float = 30.0) -> None:
        self._first = first
        self._longest = longest
        self._tries = 0

    def next(self, at_least: float = 0.0) -> float:
        """Return the next wait, in seconds: between half of the current maximum and all of it.

        Args:
            at_least: the minimum wait that the server asked for, in seconds.
        """
        bound = min(self._longest, self._first * 2.0 ** min(self._tries, 32))
        self._tries += 1
        wait = bound * random.uniform(0.5, 1.0)  # noqa: S311 (spreads load, guards no secret)
        return max(wait, min(at_least, LONGEST_RETRY_AFTER))

    def reset(self, tries: int = 0) -> None:
        """Start over, after a success.

        Args:
            tries: the number of attempts that count as already made.
        """
        self._tries = tries
