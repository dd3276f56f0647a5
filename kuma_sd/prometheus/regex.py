r"""Regular expressions as in Prometheus 3: RE2, anchored at both ends, with ``.`` matching newlines as well.

A match by google-re2 takes 5 to 17 µs with its groups, as much as all other work for a target. So it is used only for
regular expressions that have none of these shapes:

- words: ``a|b|c``;
- a prefix and a suffix: ``a(.*)b``;
- a sequence in which no group is repeated: ``([^:]+)(?::\d+)?``. Python matches these as RE2 does, but with
  backtracking, so it is used for short texts only.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, NamedTuple, Protocol

from kuma_sd.core.bounded_cache import remember_short

PATTERN_CACHE_SIZE = 1024
"""Maximum number of texts with a cached result. Most labels have few values; the values of others occur once."""

# As text, which re compiles on first use and caches: most settings need no regular expression.

# Literal characters: all but operators, and punctuation after a backslash. Letters after a backslash are classes.
_LITERAL = r"(?:[^\\.+*?()|\[\]{}^$]|\\[!-/:-@\[-`{-~])"
_WORDS = rf"(\(?)({_LITERAL}*(?:\|{_LITERAL}*)*)(\)?)"
_WORD = rf"(?:^|\|)({_LITERAL}*)"
_AROUND = rf"({_LITERAL}*)(\(?)\.([*+])(\)?)({_LITERAL}*)"
_ESCAPED = r"\\(.)"

# Without \s, which includes \v in Python only, and without what Python warns about in classes.
_CLASS = r"\[\^?(?:[0-9A-Za-z]-[0-9A-Za-z]|\\[dw./:\[\\\]-]|[^\\\[\]^&|~-])++-?\]"
_NUMBER = "(?:0|[1-9][0-9]{0,2})"
_REPEATED = rf"(?:[*+?]|\{{{_NUMBER}(?:,{_NUMBER}?)?\}})\??"
_ITEM = rf"(?:{_LITERAL}|\\[dw]|\.|{_CLASS})(?:{_REPEATED})?+"
_BRANCHES = rf"(?:{_ITEM})*+(?:\|(?:{_ITEM})*+)*+"
_SEQUENCE = rf"(?:{_ITEM}|\((?!\?){_BRANCHES}\)|\(\?:{_BRANCHES}\)\??+)*+"
_CHOICE = r"([*+]|,\})|[?|]|\{(\d+),(\d+)\}"
_MAX_TRIALS = 100_000

# \C matches one byte, which Go's engine does not support; between \Q and \E it is text.
_ESCAPE_OR_QUOTE = r"(?s)\\Q.*?(?:\\E|\Z)|\\(.)"

# Prometheus accepts \pL{1000}, for which RE2's default of 8 MiB is too little.
_MEMORY = 32 << 20


class Pattern(Protocol):
    """A regular expression that must match a whole text."""

    @property
    def groups(self) -> int:
        """The number of groups."""

    @property
    def names(self) -> Mapping[str, int]:
        """The numbers of the named groups."""

    def matches(self, text: str) -> bool:
        """Tell whether a text matches."""

    def find(self, text: str) -> Sequence[str] | None:
        """Return the match, then the text of each group, empty if the group has no part in it; None without a match."""


def parse_pattern(regex: str, memory: int = _MEMORY) -> Pattern:
    """Parse a regular expression.

    Args:
        regex: the regular expression in RE2's syntax; anchors are not needed.
        memory: how large it may be once compiled, in bytes.

    Raises:
        ValueError: Prometheus refuses it; the message says why.
    """
    bare = regex.removeprefix("^").removesuffix("$")
    if (found := re.fullmatch(_WORDS, bare)) and len(found[1]) == len(found[3]):
        return _Words(frozenset(map(_unescape, re.findall(_WORD, found[2]))), groups=len(found[1]))
    if (found := re.fullmatch(_AROUND, bare)) and len(found[2]) == len(found[4]):
        return _Around(_unescape(found[1]), _unescape(found[5]), some=found[3] == "+", groups=len(found[2]))
    # RE2 explains errors, as in [z-a].
    with suppress(re.error):
        if re.fullmatch(_SEQUENCE, bare):
            return _Sequence(bare, memory)
    return _RE2(regex, memory)


class _Words(NamedTuple):
    """Matches one of several words, with or without a group around them all."""

    words: frozenset[str]
    groups: int
    names: Mapping[str, int] = {}

    def matches(self, text: str) -> bool:
        return text in self.words

    def find(self, text: str) -> Sequence[str] | None:
        return (text,) * (1 + self.groups) if text in self.words else None


class _Around(NamedTuple):
    """Matches any text between a prefix and a suffix, with or without a group; at least one character if `some`."""

    beginning: str
    end: str
    some: bool
    groups: int
    names: Mapping[str, int] = {}

    def matches(self, text: str) -> bool:
        return (
            len(text) >= len(self.beginning) + self.some + len(self.end)
            and text.startswith(self.beginning)
            and text.endswith(self.end)
        )

    def find(self, text: str) -> Sequence[str] | None:
        if not self.matches(text):
            return None
        return (text, text[len(self.beginning) : len(text) - len(self.end)])[: 1 + self.groups]


class _Sequence:
    """Matches a sequence of characters, classes and groups, of which no group is repeated."""

    def __init__(self, regex: str, memory: int) -> None:
        compiled = re.compile(regex, re.ASCII | re.DOTALL)
        self._regex = regex
        self._memory = memory
        self._fullmatch = compiled.fullmatch
        self._longest = _longest(regex)
        self.groups = compiled.groups
        self.names: Mapping[str, int] = {}

    @cached_property
    def _re2(self) -> Pattern:
        return _RE2(self._regex, self._memory)

    def matches(self, text: str) -> bool:
        return self._re2.matches(text) if len(text) > self._longest else self._fullmatch(text) is not None

    def find(self, text: str) -> Sequence[str] | None:
        if len(text) > self._longest:
            return self._re2.find(text)
        found = self._fullmatch(text)
        return found and (found[0], *found.groups(""))


def _longest(regex: str) -> float:
    """Return the length of a text up to which backtracking takes at most about a millisecond."""
    unbounded, ways = 0, 1
    for star, low, high in re.findall(_CHOICE, regex):
        unbounded += bool(star)
        ways *= int(high) - int(low) + 1 if high else 1 if star else 2
    if ways > _MAX_TRIALS:
        return -1
    return (_MAX_TRIALS / ways) ** (1 / unbounded) - 1 if unbounded else float("inf")


class _RE2:
    """Matches any regular expression with google-re2."""

    def __init__(self, regex: str, memory: int) -> None:
        compiled = _compile(regex, memory)
        self._search: Callable[[bytes], Any] = compiled.search
        self._numbers = range(1, compiled.groups + 1)
        self.groups: int = compiled.groups
        self.names: Mapping[str, int] = compiled.groupindex
        self.matches = remember_short(PATTERN_CACHE_SIZE)(self._matches)

    def _matches(self, text: str) -> bool:
        return self._search(text.encode()) is not None

    def find(self, text: str) -> Sequence[str] | None:
        # With bytes, because with text google-re2 counts the characters up to each group.
        found = self._search(text.encode())
        return found and [text, *[(found[group] or b"").decode() for group in self._numbers]]


def _compile(regex: str, memory: int) -> Any:  # noqa: ANN401 (google-re2 has no types)
    import re2  # noqa: PLC0415 (most settings need no regular expression)

    options = re2.Options()
    options.log_errors = False
    options.max_mem = memory
    try:
        # First without anchors, for its errors and to refuse "a)|(b", which would evade them; then as Prometheus does.
        re2.compile(regex, options)
        compiled = re2.compile(f"^(?s:{regex})$", options)
    except re2.error as error:
        raise ValueError(error.args[0].decode()) from error
    if "C" in re.findall(_ESCAPE_OR_QUOTE, regex):
        raise ValueError("invalid escape sequence: \\C")
    if foreign := [name for name in compiled.groupindex if not name.isascii()]:
        raise ValueError(f"invalid named capture: {foreign[0]}")
    return compiled


def _unescape(literal: str) -> str:
    return re.sub(_ESCAPED, r"\1", literal)
