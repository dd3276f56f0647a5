"""When to poll: as often as was asked for, but never so often that the control plane does little else."""

import random
import time

REST = 10
"""How many times as long as it took, a poll is followed by none."""

_JITTER = 0.1


class Schedule:
    """Says when the next poll may begin.

    Args:
        interval: how often to poll, in seconds.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._due = float("-inf")

    @property
    def wait(self) -> float:
        """How long to wait for the next poll, in seconds."""
        return max(0.0, self._due - time.monotonic())

    def finished(self, seconds: float) -> None:
        """Note a poll that just ended.

        Args:
            seconds: how long it took.
        """
        # Jitter, so that several of us do not ask at the same moment for ever.
        interval = self._interval * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 (no secret)
        self._due = time.monotonic() + max(interval - seconds, seconds * REST)

    def failed(self, seconds: float) -> None:
        """Note a poll that just failed; whoever tries again has a back-off of its own.

        Args:
            seconds: how long the control plane worked for us.
        """
        self._due = time.monotonic() + seconds * REST
