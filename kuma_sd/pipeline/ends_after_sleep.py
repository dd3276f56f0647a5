"""Wait a moment before something ends whose time was over unnoticed: the process may have been stopped meanwhile."""

LOOK_AGAIN_SECONDS = 1.0
"""Wait before a hold is checked again whose time is over while a response is overdue, in seconds.

It is also the wait after this process was stopped (SIGSTOP, a paused machine): only afterwards does it learn whether
the contact was lost in the meantime.
"""


class LateEnd:
    """Tells when a time is over. If that is noticed late, it is over a moment later."""

    def __init__(self) -> None:
        self._noticed: float | None = None

    def is_over(self, late: float, now: float) -> bool:
        """Tell whether a time is over that ended ``late`` seconds ago; negative if it has not ended."""
        if late < 0:
            self._noticed = None
            return False
        if self._noticed is None:
            self._noticed = now if late > LOOK_AGAIN_SECONDS else float("-inf")
        return now - self._noticed >= LOOK_AGAIN_SECONDS
