"""Structured log events: a constant message, and the variable facts as fields."""

import json
import logging
from collections.abc import Mapping
from typing import NamedTuple

Field = str | int | float | bool | None


class Event(NamedTuple):
    """The message of a log record; the log format decides how it is written.

    Args:
        text: what happened.
        fields: the facts, by name; those that are None are left out.
    """

    text: str
    fields: Mapping[str, object]

    def __str__(self) -> str:
        return " ".join([self.text, *(f"{name}={_shown(value)}" for name, value in self.fields.items())])


class Logger:
    """Logs events with fields: ``log.warning("connection lost", control_plane=name, reason=why)``.

    Args:
        name: the module's ``__name__``.
        **fields: facts that every line has, unless it has a field of that name itself.
    """

    def __init__(self, name: str, **fields: object) -> None:
        self._logger = logging.getLogger(name)
        self._fields = fields

    def debug(self, text: str, /, **fields: object) -> None:
        """Log a detail that helps to find a fault."""
        self._log(logging.DEBUG, text, fields)

    def info(self, text: str, /, **fields: object) -> None:
        """Log a normal event."""
        self._log(logging.INFO, text, fields)

    def warning(self, text: str, /, error: BaseException | None = None, **fields: object) -> None:
        """Log an event that an operator should look at.

        Args:
            text: what happened.
            error: an exception whose traceback is logged too.
            fields: the facts.
        """
        self._log(logging.WARNING, text, fields, error)

    def error(self, text: str, /, error: BaseException | None = None, **fields: object) -> None:
        """Log a failure. The arguments are those of `warning`."""
        self._log(logging.ERROR, text, fields, error)

    def _log(self, level: int, text: str, fields: dict[str, object], error: BaseException | None = None) -> None:
        if self._logger.isEnabledFor(level):
            present = {name: value for name, value in (self._fields | fields).items() if value is not None}
            self._logger.log(level, Event(text, present), exc_info=error, stacklevel=3)


def _shown(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if not text or set(text) & set(' "=\n') else text
