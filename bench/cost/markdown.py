"""Tables in Markdown."""

from collections.abc import Iterable, Mapping

TEXT, NUMBER = "---", "---:"
"""The kinds of columns; numbers are aligned to the right."""


def markdown(columns: Mapping[str, str], rows: Iterable[str]) -> str:
    """Return a table.

    Args:
        columns: the kind of each column by its heading.
        rows: the cells of each row, separated by ``|``.
    """
    lines = [f"| {' | '.join(columns)} |", f"|{'|'.join(columns.values())}|", *(f"| {row} |" for row in rows)]
    return "\n".join(lines) + "\n"
