"""Tell when a control plane was in contact last, also over a restart.

While the process runs, the monotonic clock counts, whatever the wall clock does. Over a restart there is only the wall
clock, so the moment until which there may have been contact is saved as its time.
"""

from kuma_sd.pipeline.guard import FOREVER

LONGEST_AHEAD_SECONDS = 60.0
"""Maximum time by which the saved moment is ahead of the contact, in seconds."""

SHARE_AHEAD = 4
"""The saved moment is ahead by 1/n of ``max-age``, if that is less."""


class LastContact:
    """The last moment in contact with one control plane.

    Args:
        now: the current time, in monotonic seconds; the age counts from here until there is contact.
    """

    def __init__(self, now: float) -> None:
        self._begun = now
        self._at = now
        self._until: float | None = None

    def restore(self, until: float | None, wall: float) -> None:
        """Continue the age from before a restart.

        Args:
            until: what `until()` returned last. If it is not known, or in the future, the age counts from the start.
            wall: the current time, in seconds of ``time.time()``.
        """
        self._until = until
        if until is not None:
            self._at = self._begun - max(0.0, wall - until)

    def age(self, reported: float | None, now: float) -> float:
        """Return the seconds since the last contact, as far as it is known.

        Args:
            reported: the age that the source reports; None if it was never in contact.
            now: the current time, in monotonic seconds.
        """
        if reported is not None:
            self._at = now - reported
        return now - self._at

    def overdue(self, max_age: float, start_wait: float, now: float) -> float:
        """Return how long the age has exceeded ``max-age``, in seconds; negative if it has not.

        After a start, the first answer is awaited for ``start_wait`` before anything is too old: the wall clock may be
        wrong, and the control plane may be there.

        Args:
            max_age: how old targets may become, in seconds.
            start_wait: how long the first answer is awaited, in seconds.
            now: the current time, in monotonic seconds.
        """
        return min(now - self._at - max_age, now - self._begun - min(start_wait, max_age))

    def until(self, max_age: float, now: float, wall: float) -> float | None:
        """Return the moment to save until which there may have been contact, in seconds of ``time.time()``.

        It is ahead of a contact that lasts, so that a crash makes nothing older than it is, and it changes rarely. It
        changes too when the wall clock was set. None without a ``max-age``.

        Args:
            max_age: how old targets may become, in seconds.
            now: the current time, in monotonic seconds.
            wall: the current time, in seconds of ``time.time()``.
        """
        if max_age == FOREVER:
            self._until = None
            return None
        contact, ahead, in_contact = wall - (now - self._at), longest_ahead(max_age), self._at >= now
        lead = -FOREVER if self._until is None else self._until - contact
        # Out of contact it changes only if the clock was set; reading two clocks takes a moment.
        if not (ahead / 2 if in_contact else -ahead) <= lead <= ahead:
            self._until = contact + ahead if in_contact else contact
        return self._until


def longest_ahead(max_age: float) -> float:
    """Return by how much the saved moment may be ahead of the contact, in seconds."""
    return min(LONGEST_AHEAD_SECONDS, max_age / SHARE_AHEAD)
