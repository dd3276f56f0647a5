"""Expand templates as Go's regexp package does: ``$1``, ``${1}``, ``$name``, ``${name}``, and ``$$`` for ``$``."""

import re
from collections.abc import Sequence

from kuma_sd import Pattern

# A longer number, or one that begins with 0, is a name.
_NUMBER = re.compile("0|[1-9][0-9]{0,8}")


class Template:
    """A text with references to the groups of a pattern.

    Args:
        text: the template. Other text is literal; a group that does not exist is empty.
        pattern: the pattern whose groups it refers to.
    """

    def __init__(self, text: str, pattern: Pattern) -> None:
        self._pattern = pattern
        self._format = "".join(self._parts(text)).format
        self.constant = "$" not in text

    def expand(self, found: Sequence[str]) -> str:
        """Replace the references by what `Pattern.find()` found."""
        return self._format(*found)

    def _parts(self, text: str) -> list[str]:
        """Return the parts of a format string."""
        before, *rest = text.split("$")
        parts = [_escape(before)]
        while rest:
            after = rest.pop(0)
            if not after and rest:
                # $$ is one $, and what follows it is no reference.
                parts.append("$" + _escape(rest.pop(0)))
                continue
            name, length = _reference(after)
            parts += [self._field(name) if length else "$", _escape(after[length:])]
        return parts

    def _field(self, name: str) -> str:
        group = int(name) if _NUMBER.fullmatch(name) else self._pattern.names.get(name, -1)
        return f"{{{group}}}" if 0 <= group <= self._pattern.groups else ""


def _reference(text: str) -> tuple[str, int]:
    """Return the name that follows a ``$``, and its length with braces; a length of 0 if there is none."""
    start = int(text.startswith("{"))
    end = start
    # Not \\w, which takes numbers like ² for letters; Go takes Unicode's categories L and Nd.
    while end < len(text) and (text[end].isalpha() or text[end].isdecimal() or text[end] == "_"):
        end += 1
    closed = not start or text[end : end + 1] == "}"
    return text[start:end], (end + start) * (end > start and closed)


def _escape(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
