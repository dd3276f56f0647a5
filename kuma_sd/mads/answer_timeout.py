"""How long the first answer of a server is waited for."""

FIRST = 10.0
LONGEST = 300.0


class Patience:
    """The time that one replica gets for its first answer, in seconds.

    A control plane that has locked up takes every request and answers none; one with a large mesh needs long. Only
    waiting tells them apart, so each silent attempt doubles the time.
    """

    def __init__(self) -> None:
        self.seconds = FIRST

    def was_in_vain(self) -> None:
        """Wait longer the next time."""
        self.seconds = min(LONGEST, self.seconds * 2)

    def was_rewarded(self) -> None:
        """Begin anew."""
        self.seconds = FIRST
