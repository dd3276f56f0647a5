"""Colour text on terminals, but not in pipes or files."""

import os
from typing import TextIO

_ADDED, _REMOVED, _CHANGED, _DIM, _BOLD = "32", "31", "33", "2", "1"

COLOURS = r"\x1b\[(?:0|1|2|3[123])m"
"""A regular expression of all that `Style` adds to a text."""


class Style:
    """Colours text by meaning. The text must already be escaped with `kuma_sd.system.log_format.escape`.

    Args:
        coloured: whether to use colours.
    """

    def __init__(self, *, coloured: bool) -> None:
        self.coloured = coloured

    def added(self, text: str) -> str:
        """Colour text that is added or in good state."""
        return self._shown(_ADDED, text)

    def removed(self, text: str) -> str:
        """Colour text that is removed or in error."""
        return self._shown(_REMOVED, text)

    def changed(self, text: str) -> str:
        """Colour text that is changed or needs attention."""
        return self._shown(_CHANGED, text)

    def dim(self, text: str) -> str:
        """Dim unimportant text."""
        return self._shown(_DIM, text)

    def bold(self, text: str) -> str:
        """Emphasise important text."""
        return self._shown(_BOLD, text)

    def _shown(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.coloured and text else text


def style(stream: TextIO) -> Style:
    """Return the style for a stream: coloured on a terminal, unless NO_COLOR (https://no-color.org) or TERM forbid it.

    Args:
        stream: the output stream, usually ``sys.stdout``.
    """
    forbidden = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return Style(coloured=not forbidden and stream.isatty())
