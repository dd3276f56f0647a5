"""The log: one line per event on stderr, as logfmt or JSON."""

import json
import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

from kuma_sd.core.text import masked

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "off": logging.CRITICAL + 1,
}

_WORDS = {logging.DEBUG: "debug", logging.INFO: "info", logging.WARNING: "warn"}

_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4}


def configure(level: str = "info", format_: str = "logfmt", stream: TextIO | None = None) -> None:
    """Set logging up, or anew.

    Args:
        level: the least level that is logged: debug, info, warn, error or off.
        format_: logfmt or json.
        stream: where lines go; stderr if None.
    """
    handler = logging.StreamHandler(stream)
    formatter = _JSON() if format_ == "json" else _Logfmt()
    handler.setFormatter(_ForJournal(formatter) if goes_to_journal(stream or sys.stderr, os.environ) else formatter)
    logging.basicConfig(level=LEVELS[level], handlers=[handler], force=True)
    # It logs each inotify event at debug level, those that logging to a watched file causes included.
    logging.getLogger("watchdog").setLevel(max(LEVELS[level], logging.WARNING))


def goes_to_journal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Tell whether a stream goes to the journal of systemd, which reads priorities (JOURNAL_STREAM in systemd.exec(5)).

    Args:
        stream: what lines are written to.
        environment: the environment variables.
    """
    try:
        stat = os.fstat(stream.fileno())
    except (OSError, ValueError):
        # It is no file, or closed.
        return False
    return environment.get("JOURNAL_STREAM") == f"{stat.st_dev}:{stat.st_ino}"


class _Logfmt(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return " ".join(f"{name}={_quoted(name, value)}" for name, value in _fields(self, record).items())


class _JSON(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(_fields(self, record))


class _ForJournal(logging.Formatter):
    """Puts the priority in front, which the journal takes off again (sd-daemon(3)), for `journalctl -p warning`."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self._formatter = formatter

    def format(self, record: logging.LogRecord) -> str:
        return f"<{_PRIORITIES.get(record.levelno, 3)}>{self._formatter.format(record)}"


def _fields(formatter: logging.Formatter, record: logging.LogRecord) -> dict[str, str]:
    time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    fields = {
        "time": time.replace("+00:00", "Z"),
        "level": _WORDS.get(record.levelno, "error"),
        "logger": record.name,
        "msg": masked(record.getMessage()),
    }
    if record.exc_info:
        fields["traceback"] = masked(formatter.formatException(record.exc_info))
    return fields


def _quoted(name: str, value: str) -> str:
    return escape(json.dumps(value, ensure_ascii=False)) if name in ("msg", "traceback") else value


def escape(text: str) -> str:
    """Escape what is not printable: what comes from outside may hold line ends, and codes that terminals obey."""
    return "".join(character if character.isprintable() else json.dumps(character)[1:-1] for character in text)
