"""Parse selectors: label matchers, a name or address, or words."""

import re
from collections.abc import Callable
from functools import cached_property
from typing import Protocol

import msgspec

from kuma_sd.core.errors import ConfigError
from kuma_sd.core.model import Assignment, Key, Target
from kuma_sd.prometheus.label_profiles import LabelProfile
from kuma_sd.prometheus.matchers import Matchers, parse_matchers

# Characters that no known encoding of text into bytes escapes.
_PLAIN = re.compile(r"[A-Za-z0-9._:\[\]-]*")

_IS_MATCHERS = re.compile("[={}]|!~")

_IN_KEY: dict[str, Callable[[Key], str]] = {
    "mesh": lambda key: key.mesh,
    "dataplane": lambda key: key.name,
    "instance": lambda key: key.name,
}
"""Labels whose values are in the key, unless they are empty there."""


class Selector(Protocol):
    """Chooses targets."""

    def matches(self, assignment: Assignment) -> bool:
        """Tell whether the selector matches an assignment.

        Most assignments are excluded by their key and bytes alone, since decoding 100,000 takes a second. So a text is
        not found if the bytes hold it only in an encoded form.
        """

    @property
    def words(self) -> dict[str, str]:
        """The names of a mesh or a dataplane in the selector, by label; used to suggest similar names."""

    @property
    def wider(self) -> "Selector | None":
        """The selector to use if this one matches nothing; None if there is none."""


def parse_selector(text: str) -> Selector:
    """Parse a selector.

    Args:
        text: label matchers in Prometheus's syntax, like ``mesh="payments", dataplane=~"web-.*"``; the name of a
            dataplane, an instance or an address, with or without its port; or words, as for `containing`.

    Raises:
        ConfigError: it is none of these.
    """
    if not text.strip():
        raise ConfigError('name a dataplane or an address, or write matchers like mesh="payments"')
    if _IS_MATCHERS.search(text):
        return _ByMatchers(parse_matchers(text))
    return containing(text) if len(text.split()) > 1 else named(text.strip())


def named(word: str) -> Selector:
    """Return a selector of targets with this name, instance or address, with or without its port.

    Args:
        word: the name or address.
    """
    return _ByWord(word)


def containing(text: str) -> Selector:
    """Return a selector of targets with these words in their name, mesh, service, address or any label's value.

    Args:
        text: the words, in upper or lower case; a target must have all of them.
    """
    return _ByWords(tuple(text.lower().split()))


class _ByMatchers(msgspec.Struct, frozen=True, dict=True):
    matchers: Matchers
    wider: Selector | None = None
    _labels: LabelProfile = msgspec.field(default_factory=lambda: LabelProfile("both"))

    @cached_property
    def _received(self) -> list[str]:
        """Return the values that the received bytes must hold: those not from settings, keys and defaults."""
        elsewhere = (*_IN_KEY, "control_plane")
        equal = [matcher for matcher in self.matchers if matcher.operator == "=" and matcher.value]
        return [
            matcher.value for matcher in equal if matcher.name not in elsewhere and not matcher.name.startswith("__")
        ]

    @property
    def words(self) -> dict[str, str]:
        return {
            matcher.name: matcher.value
            for matcher in self.matchers
            if matcher.name in _IN_KEY and matcher.operator == "="
        }

    def matches(self, assignment: Assignment) -> bool:
        known = {name: part(assignment.key) for name, part in _IN_KEY.items()}
        if not all(matcher.matches(known[matcher.name]) for matcher in self.matchers if known.get(matcher.name)):
            return False
        if not all(_may_hold(assignment.data, value) for value in self._received):
            return False
        target = read_if_readable(assignment)
        if target is None:
            return self.matchers.matches(known.get)
        facts = {"service": target.service, "control_plane": target.control_plane}
        labels = self._labels(target)
        return self.matchers.matches(lambda name: labels.get(name) or facts.get(name))


class _ByWord(msgspec.Struct, frozen=True):
    word: str

    @property
    def wider(self) -> Selector:
        return containing(self.word)

    @property
    def words(self) -> dict[str, str]:
        return {"dataplane": self.word}

    def matches(self, assignment: Assignment) -> bool:
        if assignment.key.name == self.word:
            return True
        target = read_if_readable(assignment) if _may_hold(assignment.data, self.word) else None
        if target is None:
            return False
        host = target.address.rpartition(":")[0]
        return self.word in (target.address, host, host.strip("[]"), target.name, target.labels.get("instance"))


class _ByWords(msgspec.Struct, frozen=True):
    wanted: tuple[str, ...]
    wider: Selector | None = None

    @property
    def words(self) -> dict[str, str]:
        return {}

    def matches(self, assignment: Assignment) -> bool:
        known = f"{assignment.key.name}\n{assignment.key.mesh}".lower()
        missing = [word for word in self.wanted if word not in known]
        if not missing:
            return True
        data = assignment.data.lower()
        target = read_if_readable(assignment) if all(_may_hold(data, word) for word in missing) else None
        texts = (target.service, target.address, *target.labels.values()) if target else ()
        return all(any(word in text.lower() for text in texts) for word in missing)


def _may_hold(data: bytes, text: str) -> bool:
    return not _PLAIN.fullmatch(text) or text.encode() in data


def read_if_readable(assignment: Assignment) -> Target | None:
    """Return the target of an assignment; None if it cannot be read."""
    try:
        return assignment.read()
    except Exception:  # noqa: BLE001 (codecs are plugins'; unreadable assignments are found by key, and explained)
        return None
