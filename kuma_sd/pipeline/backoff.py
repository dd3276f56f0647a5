"""Compute the wait before the next attempt."""

import random

LONGEST_RETRY_AFTER = 300.0
"""Maximum wait that a server may ask for, in seconds."""


STEADY_SECONDS = 3.0
"""Minimum duration of a connection after which the back-off starts over, in seconds."""


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
        self._short = 0

    def next(self, at_least: float = 0.0) -> float:
        """Return the next wait, in seconds: between half of the current maximum and all of it.

        Args:
            at_least: the minimum wait that the server asked for, in seconds.
        """
        bound = min(self._longest, self._first * 2.0 ** min(self._tries, 32))
        self._tries += 1
        wait = bound * random.uniform(0.5, 1.0)  # noqa: S311 (spreads load, guards no secret)
        return max(wait, min(at_least, LONGEST_RETRY_AFTER))

    def reset(self) -> None:
        """Start over, after a success."""
        self._tries = 0

    def connection_ended(self, lasted: float) -> None:
        """Start over after a connection that lasted.

        A gateway may end each connection as soon as it is made: then connect less and less often.

        Args:
            lasted: how long the connection lasted, in seconds.
        """
        self._short = 0 if lasted >= STEADY_SECONDS else self._short + 1
        self._tries = max(0, self._short - 1)
