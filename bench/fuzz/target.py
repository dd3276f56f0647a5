"""What a fuzz target is: it takes bytes from a stranger, and raises only if something is wrong."""

import logging
from collections.abc import Callable, Iterable
from typing import NamedTuple

CANARY = "Qx7cAnArY"
"""A part of every secret; nothing that is shown may hold it."""

BETWEEN = b"\xff|"
"""Separates the parts of an input that is made of several."""


class Target(NamedTuple):
    """A fuzz target.

    Args:
        take: takes an input; anything that it raises is a find.
        seeds: returns inputs to begin with, which are right.
        words: texts that mean something there, for the mutator.
        close: ends what the target runs.
    """

    take: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    words: Iterable[bytes] = ()
    close: Callable[[], object] = lambda: None


class Log(logging.Handler):
    """Keeps what was logged since the last input."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        logging.getLogger().addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self.records.append(record)

    def taken(self) -> list[logging.LogRecord]:
        """Return the records, and forget them."""
        records = self.records
        self.records = []
        return records


def assert_hidden(*texts: str) -> None:
    """Raise if a text shows a secret."""
    for text in texts:
        assert CANARY not in text, f"a secret is shown in {text!r}"
