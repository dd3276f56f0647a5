"""Timeout of a server's first response."""

FIRST = 10.0
LONGEST = 300.0


class Patience:
    """The timeout of one replica's first response, in seconds.

    A hung control plane accepts requests and never responds; one with a large mesh responds late. Only waiting tells
    them apart, so each attempt without a response doubles the timeout.
    """

    def __init__(self) -> None:
        self.seconds = FIRST

    def was_in_vain(self) -> None:
        """Double the timeout for the next attempt."""
        self.seconds = min(LONGEST, self.seconds * 2)

    def was_rewarded(self) -> None:
        """Reset to the initial timeout."""
        self.seconds = FIRST
