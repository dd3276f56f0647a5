"""Outputs that published something, for the history."""

from kuma_sd import Publication
from kuma_sd.telemetry.history import ChangeTotals, History


class Published:
    """What outputs published so far, one instance of each.

    Args:
        history: where it is noted.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._last: dict[str, Publication] = {}
        self._totals: dict[str, ChangeTotals] = {}

    def note(self, output: str, publication: Publication, published: float, now: float) -> None:
        """Note what an output published last; the same once more is no other publication."""
        last, totals = self._last.get(output), self._totals.get(output, ChangeTotals(began=1.0))
        if publication is not last:
            totals = self._totals[output] = totals.after(publication, last)
        self._last[output] = publication
        self._history.note(output, len(publication.groups), totals, published, now)
