"""Decide whether a lost connection ends the contact with a control plane: then what it holds is held anew."""

ONE_BACK_OFF_SECONDS = 1.0
"""Maximum time without a connection that does not end the contact, in seconds: one back-off, and connecting."""


class Contact:
    """Tracks since when a control plane is in contact, in seconds of ``time.monotonic()``.

    A contact outlives a connection that the other side closed and that the first attempt restores: gateways do that,
    and it says nothing about the control plane. Any other failure ends the contact, and so does a closed connection
    that is not restored within one back-off: the control plane may have restarted. Another replica, which knows other
    targets, begins a new contact too, and so does another protocol, since an attempt may have failed over the old one.

    If a connection was closed in the middle, the control plane may have crashed, however fast it is back. So what is
    held then is held anew: see ``unbroken_since``.
    """

    def __init__(self) -> None:
        self._began: float | None = None
        self._broke = float("-inf")
        self._peer: tuple[str, ...] = ()
        self._unbroken_since: float | None = None

    @property
    def unbroken_since(self) -> float:
        """Since when no connection was closed in the middle; 0 before the first."""
        return self._unbroken_since or 0.0

    def began(self, connected: float, *peer: str) -> float:
        """Return when the present contact began.

        Args:
            connected: when the present connection was made.
            *peer: its protocol, and the endpoint that it leads to.
        """
        # However it was lost: a control plane that restarts may end its connections in order.
        was_away = connected - self._broke > ONE_BACK_OFF_SECONDS or peer != self._peer
        self._peer = peer
        if self._unbroken_since is None:
            self._unbroken_since = connected
        if self._began is None or (self._began < self._broke and was_away):
            # The clock of a source may be coarse; a contact never begins before the last one ended.
            self._began = max(connected, self._broke)
        return self._began

    def broke(self, now: float, *, was_ended: bool) -> None:
        """Record that the connection was lost, or that the other side ended it."""
        self._broke = now
        if not was_ended:
            self._unbroken_since = None

    def failed(self) -> float | None:
        """Record that an attempt to connect failed; return when the contact was lost if this attempt ends it."""
        lost = None if self._began is None else self._broke
        self._began = self._unbroken_since = None
        return lost
