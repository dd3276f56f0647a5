"""Warn, once, if the lists of the API prove no absence for several polls."""

from collections.abc import Sequence

from kuma_sd import Logger

_log = Logger(__name__)

SAY_AFTER_POLLS = 3
"""Number of consecutive polls with inconsistent lists after which a warning is logged."""


class DoubtLog:
    """Counts polls with inconsistent lists.

    Args:
        title: the name of the control plane in the log.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._in_a_row = 0
        self.lasting = ""
        """Why the lists have been inconsistent for so long that somebody should look; empty if they have not."""
        self.count = 0
        self.complete_once = False
        """Whether any poll was complete: from then on all that may vanish is known here."""

    def note(self, doubts: Sequence[str]) -> None:
        """Take note of a poll.

        Args:
            doubts: why an absence in it proves nothing; empty if everything fits together.
        """
        if not doubts:
            if self._in_a_row >= SAY_AFTER_POLLS:
                _log.info("the lists of the API are consistent again", control_plane=self._title)
            self._in_a_row = 0
            self.complete_once = True
            self.lasting = ""
            return
        self.count += 1
        self._in_a_row += 1
        if self._in_a_row >= SAY_AFTER_POLLS:
            self.lasting = "; ".join(doubts)
        if self._in_a_row == SAY_AFTER_POLLS:
            _log.warning(
                "the lists of the API are inconsistent: what is new is published, what a list lacks stays until the "
                "API says that it is gone",
                control_plane=self._title,
                polls=SAY_AFTER_POLLS,
                reason=self.lasting,
            )
