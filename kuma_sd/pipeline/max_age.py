"""Let the targets of one control plane expire after ``max-age`` without contact, and return once contact goes on."""

from collections.abc import Sequence

from kuma_sd.core.logger import Logger
from kuma_sd.core.model import Assignment
from kuma_sd.pipeline.ends_after_sleep import LateEnd

_log = Logger(__name__)


class Expiry:
    """Whether the targets of one control plane have expired.

    ``expired`` says so, and ``lapsed`` holds the targets that were dropped.
    """

    def __init__(self) -> None:
        self.expired = False
        self.lapsed: Sequence[Assignment] = ()
        self._sent: Sequence[Assignment] | None = None
        self._end = LateEnd()

    def is_due(self, too_old: float, now: float) -> bool:
        """Tell whether the targets expire now.

        Args:
            too_old: how long their age has exceeded ``max-age``, in seconds; negative if it has not.
            now: the current time.
        """
        return self._end.is_over(too_old, now) and too_old > 0 and not self.expired

    def expire(self, published: Sequence[Assignment], sent: Sequence[Assignment] | None, title: str) -> None:
        """Record that targets were dropped.

        Args:
            published: the dropped targets.
            sent: what was sent last, if the contact goes on in silence: it comes back when the silence ends.
            title: the control plane's name in the log.
        """
        self.expired = True
        if published:
            _log.warning(
                "not connected for longer than max-age; its targets were dropped",
                control_plane=title,
                targets=len(published),
            )
        self.lapsed = published
        self._sent = sent

    def returned(self) -> Sequence[Assignment] | None:
        """Return what comes back because contact goes on: nothing changed since it was sent. None if nothing does."""
        sent = self._sent
        if sent is not None:
            self.end()
        return sent

    def lose_contact(self) -> None:
        """Forget what was sent in a contact that ended."""
        self._sent = None

    def end(self) -> None:
        """Record that the control plane has answered."""
        self.expired = False
        self.lapsed = ()
        self._sent = None
