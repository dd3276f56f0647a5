"""Search published targets in the bytes of their lines; only the lines that are shown are decoded.

To not delay publishing, a search pauses about every millisecond, only one search runs at a time, and none uses more CPU
time than BUDGET.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import msgspec

from kuma_sd.core.model import Key, Labels
from kuma_sd.core.target_group import TargetGroup
from kuma_sd.prometheus.matchers import Matcher, parse_matchers
from kuma_sd.web.application import Refused
from kuma_sd.web.page.template_filters import IS_MATCHERS

BUDGET = 1.0
"""Maximum CPU time of a search, in seconds; afterwards the results so far are shown."""

CHUNK = 250
"""Number of groups between two pauses."""

REST = 0.0002
"""Length of a pause, in seconds; it lets other threads get the interpreter, for longer than the pause if needed."""

PATIENCE = 5.0
"""Maximum wait for other searches, in seconds."""

Choose = Callable[[Sequence[TargetGroup]], Sequence[TargetGroup]]


class Turn:
    """Allows one search at a time.

    Args:
        patience: maximum wait for other searches, in seconds.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=self._patience):
            raise Refused(503, "others search at the moment; try again", {"Retry-After": "5"})

    def __exit__(self, *_failure: object) -> None:
        self._lock.release()


class FoundTarget(msgspec.Struct, frozen=True):
    """The result of a search.

    Args:
        groups: the groups to show.
        count: number of matches among the searched groups.
        looked: number of searched groups.
        total: number of all groups.
        seconds: duration of the search.
    """

    groups: Sequence[TargetGroup] = ()
    count: int = 0
    looked: int = 0
    total: int = 0
    seconds: float = 0.0


def search(
    groups: Sequence[TargetGroup],
    text: str,
    places: range,
    only: Callable[[Key], bool] | None = None,
    budget: float = BUDGET,
) -> FoundTarget:
    """Find published targets.

    Args:
        groups: the groups to search.
        text: label matchers, or words that must all occur in a target's labels or name, ignoring case.
        places: the range of matches to return.
        only: search these groups only.
        budget: maximum CPU time, in seconds.

    Raises:
        ConfigError: the matchers are invalid.
    """
    began, total = time.monotonic(), len(groups)
    if not text and only is None:
        return FoundTarget(groups[places.start : places.stop], total, total, total)
    choose, count, looked = _choosing(text), 0, 0
    hits: list[TargetGroup] = []
    for chunk in _chunks(groups, budget):
        found = choose(chunk if only is None else [group for group in chunk if only(group.key.assignment)])
        hits += found[max(0, places.start - count) : max(0, places.stop - count)]
        count += len(found)
        looked += len(chunk)
    return FoundTarget(hits, count, looked, total, time.monotonic() - began)


def _chunks(groups: Sequence[TargetGroup], budget: float) -> Iterator[Sequence[TargetGroup]]:
    rest, began = threading.Event(), time.thread_time()
    for start in range(0, len(groups), CHUNK):
        if time.thread_time() - began > budget:
            return
        yield groups[start : start + CHUNK]
        rest.wait(REST)


def _choosing(text: str) -> Choose:
    return _Matching(parse_matchers(text)).choose if IS_MATCHERS.search(text) else _having(text.lower().split())


def _having(words: Sequence[str]) -> Choose:
    # As encoded in JSON.
    needles = [(word, msgspec.json.encode(word)[1:-1].lower()) for word in words]

    def choose(groups: Sequence[TargetGroup]) -> Sequence[TargetGroup]:
        for word, needle in needles:
            # Also search the name, since transforms may have removed it from the labels.
            groups = [
                group for group in groups if needle in group.json.lower() or word in group.key.assignment.name.lower()
            ]
        return groups

    return choose


class _Group(msgspec.Struct):
    targets: list[str]
    labels: Labels


_DECODER = msgspec.json.Decoder(_Group)

_IN_KEY: dict[str, Callable[[Key], str]] = {
    "mesh": lambda key: key.mesh,
    "dataplane": lambda key: key.name,
    "control_plane": lambda key: key.control_plane,
}
"""Labels that the target's key answers, independently of label profile and transforms."""

_SERVICE = ("service", "__meta_kuma_service", "job")
"""The labels with the service's name in the label profiles."""

# Characters that JSON does not escape.
_PLAIN = re.compile(r"[ !#-\[\]-~]+")


class _Matching:
    """Applies matchers, the cheapest first: on the key, then on the line's bytes, then on decoded labels."""

    def __init__(self, matchers: Sequence[Matcher]) -> None:
        self._of_key = [(_IN_KEY[matcher.name], matcher) for matcher in matchers if matcher.name in _IN_KEY]
        self._others = [matcher for matcher in matchers if matcher.name not in _IN_KEY]
        self._needles = [
            f'"{other.value}"'.encode()
            for other in self._others
            if other.operator == "=" and _PLAIN.fullmatch(other.value)
        ]

    def choose(self, groups: Sequence[TargetGroup]) -> Sequence[TargetGroup]:
        """Return the groups that all matchers match."""
        return [group for group in groups if self._test(group)]

    def _test(self, group: TargetGroup) -> bool:
        key, line = group.key.assignment, group.json
        for part, matcher in self._of_key:
            if not matcher.matches(part(key)):
                return False
        if not self._others:
            return True
        return all(needle in line for needle in self._needles) and self._matches(_DECODER.decode(line))

    def _matches(self, group: _Group) -> bool:
        labels = group.labels
        labels["__address__"] = group.targets[0]
        if not labels.get("service"):
            labels["service"] = next(filter(None, map(labels.get, _SERVICE)), "")
        return all(matcher.matches(labels.get(matcher.name, "")) for matcher in self._others)
