"""Schedule polls at the configured interval, but not so often that they keep the control plane busy."""

import random
import time

REST = 10
"""Minimum pause after a poll, as a multiple of its duration."""

_JITTER = 0.1


class Schedule:
    """Computes when the next poll may begin.

    Args:
        interval: the configured interval, in seconds.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._due = float("-inf")

    @property
    def wait(self) -> float:
        """The wait until the next poll, in seconds."""
        return max(0.0, self._due - time.monotonic())

    def finished(self, seconds: float) -> None:
        """Record a poll that just ended.

        Args:
            seconds: its duration.
        """
        # Jitter, so that several daemons do not poll at the same moment forever.
        interval = self._interval * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 (no secret)
        self._due = time.monotonic() + max(interval - seconds, seconds * REST)

    def failed(self, seconds: float) -> None:
        """Record a poll that just failed; the caller retries with its own back-off.

        Args:
            seconds: the time that the control plane spent on the poll.
        """
        self._due = time.monotonic() + seconds * REST
