"""Parse label matchers in Prometheus's syntax, like ``mesh="payments", env=~"prod|stage"``."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from kuma_sd.core.errors import ConfigError
from kuma_sd.core.options import OptionType
from kuma_sd.prometheus.label_names import LABEL_NAME
from kuma_sd.prometheus.regex import PATTERN_CACHE_SIZE, Pattern, parse_pattern

__all__ = ["MATCHERS", "PATTERN_CACHE_SIZE", "Matcher", "Matchers", "Pattern", "parse_matchers", "parse_pattern"]

MOST_MATCHERS = 64
"""Maximum number of conditions: whoever may ask for a target or a status page can send any."""

_PATTERN_MEMORY = 256 << 10
"""Maximum size of a compiled regular expression, in bytes: all threads wait while one is compiled, some 10 ms at most.

With the 32 MiB of relabelling rules, which come from settings, ``\\pL{1000}`` takes a second and 50 MB.
"""

_MOST_GROUPS = 100
"""Maximum number of groups in a regular expression: RE2 limits no memory for them, and 8,000 take 2 GB."""

_BLANK = re.compile(r"\s*")
_OPEN, _CLOSE, _COMMA, _END = map(re.compile, (r"\{", r"\}", ",", r"\Z"))
_OPERATOR = re.compile("=~|!~|!=|=")
_WORD = re.compile(r"[\w.:/-]+")
_QUOTED = re.compile(r""""((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)'|`([^`]*)`""")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}


@dataclass(frozen=True)
class Matcher:
    """A condition on one label.

    Args:
        name: the label.
        operator: ``=``, ``!=``, ``=~`` or ``!~``.
        value: a text; for ``=~`` and ``!~`` a regular expression that must match the whole value.
    """

    name: str
    operator: str
    value: str

    def matches(self, value: str) -> bool:
        """Tell whether the condition holds for a value.

        Args:
            value: the label's value; empty if the label is absent.

        Raises:
            ValueError: the regular expression is wrong, which `parse_matchers()` refuses.
        """
        return self._equals(value) is not self.operator.startswith("!")

    @cached_property
    def _equals(self) -> Callable[[str], bool]:
        return parse_pattern(self.value, _PATTERN_MEMORY).matches if "~" in self.operator else self.value.__eq__

    def __str__(self) -> str:
        value = self.value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
        return f'{self.name}{self.operator}"{value}"'


class Matchers(tuple[Matcher, ...]):
    """Conditions that must all hold. An empty list matches everything."""

    __slots__ = ()

    def matches(self, lookup: Callable[[str], str | None]) -> bool:
        """Tell whether all conditions hold.

        Args:
            lookup: returns the value of a label; None or an empty text if it is absent. For example ``labels.get``.
        """
        return all(matcher.matches(lookup(matcher.name) or "") for matcher in self)

    def __str__(self) -> str:
        return ", ".join(map(str, self))


def parse_matchers(text: str) -> Matchers:
    """Parse label matchers.

    Args:
        text: conditions separated by commas, with or without braces; a plain word needs no quotes.

    Raises:
        ConfigError: the text is wrong; the message says where and why.
    """
    try:
        return _parse(text)
    except ValueError as error:
        raise ConfigError(f"{text!r} {error}") from error


def _parse(text: str) -> Matchers:
    reader = _Reader(text)
    braces = reader.take(_OPEN)
    matchers = list[Matcher]()
    while not reader.sees(_CLOSE) and not reader.sees(_END):
        if len(matchers) == MOST_MATCHERS:
            raise reader.error(f"more than {MOST_MATCHERS} conditions")
        matchers.append(_matcher(reader))
        if not reader.take(_COMMA):
            break
    if braces and not reader.take(_CLOSE):
        raise reader.error("expected a comma or }")
    if not reader.sees(_END):
        raise reader.error("expected a comma or the end; put quotes around values that are no plain words")
    return Matchers(matchers)


class _Reader:
    """Reads a text part by part and ignores blanks between parts."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def sees(self, part: re.Pattern[str]) -> re.Match[str] | None:
        blank = _BLANK.match(self._text, self._at)
        assert blank
        self._at = blank.end()
        return part.match(self._text, self._at)

    def take(self, part: re.Pattern[str]) -> re.Match[str] | None:
        found = self.sees(part)
        if found:
            self._at = found.end()
        return found

    def error(self, reason: str, at: int | None = None) -> ValueError:
        return ValueError(f"is wrong at character {1 + (self._at if at is None else at)}: {reason}")


def _matcher(reader: _Reader) -> Matcher:
    name = reader.take(LABEL_NAME)
    if not name:
        raise reader.error('expected the name of a label, as in mesh="payments"')
    operator = reader.take(_OPERATOR)
    if not operator:
        raise reader.error(f"expected =, !=, =~ or !~ after {name[0]}")
    value = reader.sees(_QUOTED) or reader.sees(_WORD)
    if not value:
        raise reader.error(f"expected a value for {name[0]}, in quotes that are closed again")
    matcher = Matcher(name[0], operator[0], _text(reader, value))
    if "~" in matcher.operator and matcher.value.count("(") > _MOST_GROUPS:
        raise reader.error(f"more than {_MOST_GROUPS} groups in a regular expression")
    try:
        matcher.matches("")
    except ValueError as error:
        raise reader.error(f"this regular expression is refused: {error}") from error
    reader.take(value.re)
    return matcher


def _text(reader: _Reader, value: re.Match[str]) -> str:
    if value.re is _WORD:
        return value[0]
    quote, raw = value[0][0], value[value.lastindex or 0]
    if quote == "`":
        return raw

    def unescape(found: re.Match[str]) -> str:
        if found[1] not in (*_ESCAPED, quote):
            at = value.start() + 1 + found.start()
            raise reader.error(f"unknown escape {found[0]}; a backslash is written twice, or in `…`", at)
        return _ESCAPED.get(found[1], found[1])

    return _ESCAPE.sub(unescape, raw)


MATCHERS = OptionType("matchers", _parse)
"""Type of an option that holds matchers."""
