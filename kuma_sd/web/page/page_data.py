"""What there is to see for the page, whoever provides it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kuma_sd.core.model import Key
from kuma_sd.core.publication import Publication
from kuma_sd.telemetry.explanation import SearchResult
from kuma_sd.telemetry.history import History
from kuma_sd.telemetry.status import Status
from kuma_sd.web.page.words import IS_MATCHERS

Explain = Callable[[str, int, int], SearchResult]
"""Takes a text, how many targets at most, and how many to pass over."""


@dataclass(frozen=True)
class PageData:
    """What there is to see. All functions are called in threads of a listener.

    Args:
        status: returns how the daemon is.
        history: what was published over time.
        published: returns what each output published last, by its name.
        holds: tells whether a guard holds a target that its control plane does not have any more.
        explain: explains the targets that a selector chooses; raises ConfigError if it is wrong.
        containing: explains those that have a text in their name, mesh, service, address or labels.
        accept: lets go of what the guard of a control plane holds; raises KeyError if there is none of that name.
        may_change: tells whether those who look may also accept.
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
        """Explain what a text means: a selector, else a part of something.

        Raises:
            ConfigError: it is neither.
        """
        exact = self.explain(text, limit, offset)
        if exact.targets or IS_MATCHERS.search(text):
            return exact
        parts = self.containing(text, limit, offset)
        return parts if parts.targets else exact
