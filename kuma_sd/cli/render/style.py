"""Colours, where somebody looks: on a terminal, and never in a pipe or a file."""

import os
from typing import TextIO

_ADDED, _REMOVED, _CHANGED, _DIM, _BOLD = "32", "31", "33", "2", "1"


class Style:
    """Shows text by what it means. The text must be escaped already, with `kuma_sd.system.log_format.escape`.

    Args:
        coloured: whether anything is done at all.
    """

    def __init__(self, *, coloured: bool) -> None:
        self.coloured = coloured

    def added(self, text: str) -> str:
        """Show what is there now and was not, or what is well."""
        return self._shown(_ADDED, text)

    def removed(self, text: str) -> str:
        """Show what is gone, or what is wrong."""
        return self._shown(_REMOVED, text)

    def changed(self, text: str) -> str:
        """Show what is different, or what deserves a look."""
        return self._shown(_CHANGED, text)

    def dim(self, text: str) -> str:
        """Show what matters less."""
        return self._shown(_DIM, text)

    def bold(self, text: str) -> str:
        """Show what matters most."""
        return self._shown(_BOLD, text)

    def _shown(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.coloured and text else text


def style(stream: TextIO) -> Style:
    """Return the style for a stream: coloured on a terminal, unless NO_COLOR (https://no-color.org) or TERM forbid it.

    Args:
        stream: where it will be printed, most often ``sys.stdout``.
    """
    forbidden = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return Style(coloured=not forbidden and stream.isatty())
