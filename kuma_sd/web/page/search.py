"""Finding published targets: by the bytes of their lines, of which only those that are shown are decoded.

The thread that publishes must not notice: a search rests every millisecond or so, there is only one at a time, and none
looks for longer than BUDGET.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from kuma_sd.core.model import Key, Labels
from kuma_sd.core.target_group import TargetGroup
from kuma_sd.prometheus.matchers import Matcher, parse_matchers
from kuma_sd.web.application import Refused
from kuma_sd.web.page.words import IS_MATCHERS

BUDGET = 1.0
"""How much time of the processor a search may take, in seconds; what it found until then is shown."""

CHUNK = 250
"""How many groups are looked at between two rests."""

REST = 0.0002
"""How long a rest is, in seconds; others who want the interpreter get it then, and keep it for longer."""

PATIENCE = 5.0
"""How long to wait for other searches, in seconds."""

Choose = Callable[[Sequence[TargetGroup]], Sequence[TargetGroup]]


class Turn:
    """Lets one search happen at a time.

    Args:
        patience: how long to wait for others, in seconds.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=self._patience):
            raise Refused(503, "others search at the moment; try again", {"Retry-After": "5"})

    def __exit__(self, *_failure: object) -> None:
        self._lock.release()


@dataclass(frozen=True)
class FoundTarget:
    """What was found.

    Args:
        groups: those to show.
        count: how many there are, as far as was looked.
        looked: how many groups were looked at.
        total: how many there are.
        seconds: how long it took.
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
        groups: where to look.
        text: label matchers, or words that all have to be in a target's labels or name, in upper or lower case.
        places: which of those that are found to return.
        only: looks at these only.
        budget: how much time of the processor it may take, in seconds.

    Raises:
        ConfigError: the matchers are wrong.
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
    # As they stand in JSON.
    needles = [(word, msgspec.json.encode(word)[1:-1].lower()) for word in words]

    def choose(groups: Sequence[TargetGroup]) -> Sequence[TargetGroup]:
        for word, needle in needles:
            # By its name too, which transforms may have taken out of the labels.
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
"""What the key says of a target, whatever a label profile or transform made of its labels."""

_SERVICE = ("service", "__meta_kuma_service", "job")
"""Which labels say what the service is, by the label profiles."""

# What stands in JSON as it is.
_PLAIN = re.compile(r"[ !#-\[\]-~]+")


class _Matching:
    """Chooses by matchers, the cheapest first: those of the key, then texts in the line, then all labels."""

    def __init__(self, matchers: Sequence[Matcher]) -> None:
        self._of_key = [(_IN_KEY[matcher.name], matcher) for matcher in matchers if matcher.name in _IN_KEY]
        self._others = [matcher for matcher in matchers if matcher.name not in _IN_KEY]
        self._needles = [
            f'"{other.value}"'.encode()
            for other in self._others
            if other.operator == "=" and _PLAIN.fullmatch(other.value)
        ]

    def choose(self, groups: Sequence[TargetGroup]) -> Sequence[TargetGroup]:
        """Return those that all matchers match."""
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
