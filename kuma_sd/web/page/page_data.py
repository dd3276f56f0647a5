"""The interface through which the page gets its data."""

from collections.abc import Callable, Mapping

import msgspec

from kuma_sd.core.model import Key
from kuma_sd.core.publication import Publication
from kuma_sd.telemetry.explanation import SearchResult
from kuma_sd.telemetry.history import History
from kuma_sd.telemetry.status import Status
from kuma_sd.web.page.template_filters import IS_MATCHERS

Explain = Callable[[str, int, int], SearchResult]
"""Takes a text, a limit and an offset."""


class PageData(msgspec.Struct, frozen=True):
    """The page's data. All functions are called in a listener's threads.

    Args:
        status: returns the daemon's status.
        history: the published targets over time.
        published: returns each output's last publication by name.
        holds: tells whether a guard holds a target that its control plane no longer has.
        explain: explains the targets that a selector matches; raises ConfigError if it is invalid.
        containing: explains the targets with a text in their name, mesh, service, address or labels.
        accept: releases the targets that a control plane's guard holds; raises KeyError if the name is unknown.
        may_change: tells whether users of the page may accept.
    """

    status: Callable[[], Status]
    history: History
    published: Callable[[], Mapping[str, Publication]]
    holds: Callable[[Key], bool]
    explain: Explain
    containing: Explain
    accept: Callable[[str], object]
    may_change: Callable[[], bool]

    def explained(self, text: str, limit: int, offset: int = 0) -> SearchResult:
        """Explain the targets that a text matches as a selector, or else as a part of a name or label.

        Raises:
            ConfigError: the text is neither.
        """
        exact = self.explain(text, limit, offset)
        if exact.targets or IS_MATCHERS.search(text):
            return exact
        parts = self.containing(text, limit, offset)
        return parts if parts.targets else exact
