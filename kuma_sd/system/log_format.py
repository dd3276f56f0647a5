"""Set up the log: one line per event on stderr, as logfmt or JSON, with named fields."""

import json
import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from kuma_sd.core.logger import Event
from kuma_sd.core.secret import redacted

if TYPE_CHECKING:
    from kuma_sd.system.log_writer import LogWriter

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "off": logging.CRITICAL + 1,
}

_WORDS = {logging.DEBUG: "debug", logging.INFO: "info", logging.WARNING: "warn"}

_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4}

_BARE = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:@%+,-[]")
"""Characters that a logfmt value may have without quotes."""

_writers: "list[LogWriter]" = []
"""The writer thread of stderr, once started."""


def configure(level: str = "info", format_: str = "logfmt", stream: TextIO | None = None) -> None:
    """Set up logging; may be called again.

    Args:
        level: minimum log level: debug, info, warn, error or off.
        format_: logfmt or json.
        stream: the output stream; stderr if None.
    """
    handler = logging.StreamHandler(stream or next(iter(_writers), sys.stderr))
    formatter = _JSON() if format_ == "json" else _Logfmt()
    handler.setFormatter(_ForJournal(formatter) if goes_to_journal(stream or sys.stderr, os.environ) else formatter)
    logging.basicConfig(level=LEVELS[level], handlers=[handler], force=True)
    # watchdog logs each inotify event at debug level, even those caused by logging to a watched file.
    logging.getLogger("watchdog").setLevel(max(LEVELS[level], logging.WARNING))


def write_in_thread() -> None:
    """Write stderr from a separate thread from now on, so that a slow log reader blocks no other thread."""
    if _writers:
        return
    from kuma_sd.system.log_writer import LogWriter  # noqa: PLC0415 (late, since only the daemon needs it)

    writer = LogWriter(sys.stderr, _describe_loss)
    writer.start()
    _writers.append(writer)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stderr:
            handler.setStream(writer)


def drain(timeout: float) -> None:
    """Wait until all log lines are written, at most this many seconds."""
    for writer in _writers:
        writer.drain(timeout)


def _describe_loss(lines: int) -> str:
    event = Event("log lines were lost, because the log was not read in time", {"lines": lines})
    record = logging.LogRecord(__name__, logging.WARNING, __file__, 0, event, None, None)
    return "".join(f"{handler.format(record)}\n" for handler in logging.getLogger().handlers[:1])


def goes_to_journal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Tell whether a stream goes to systemd's journal, which reads priorities (JOURNAL_STREAM in systemd.exec(5)).

    Args:
        stream: the output stream.
        environment: the environment variables.
    """
    try:
        stat = os.fstat(stream.fileno())
    except (OSError, ValueError):
        # Not a file, or closed.
        return False
    return environment.get("JOURNAL_STREAM") == f"{stat.st_dev}:{stat.st_ino}"


class _Logfmt(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return " ".join(f"{name}={_quoted(name, value)}" for name, value in _fields(self, record).items())


class _JSON(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(_fields(self, record))


class _ForJournal(logging.Formatter):
    """Prefixes the priority, which the journal strips (sd-daemon(3)), for `journalctl -p warning`."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self._formatter = formatter

    def format(self, record: logging.LogRecord) -> str:
        return f"<{_PRIORITIES.get(record.levelno, 3)}>{self._formatter.format(record)}"


def _fields(formatter: logging.Formatter, record: logging.LogRecord) -> dict[str, object]:
    event = record.msg if isinstance(record.msg, Event) else Event(record.getMessage(), {})
    time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    fields: dict[str, object] = {
        "time": time.replace("+00:00", "Z"),
        "level": _WORDS.get(record.levelno, "error"),
        "logger": record.name,
        "msg": redacted(event.text),
    }
    fields |= {name: _value(value) for name, value in event.fields.items() if name not in fields}
    if record.exc_info:
        fields["traceback"] = redacted(formatter.formatException(record.exc_info))
    return fields


def _value(value: object) -> object:
    return value if isinstance(value, int) else redacted(str(value))


def _quoted(name: str, value: object) -> str:
    text = str(value)
    if name not in ("msg", "traceback") and text and _BARE.issuperset(text):
        return text
    return escape(json.dumps(text, ensure_ascii=False))


def escape(text: str) -> str:
    """Escape characters that are not printable: external input may contain line breaks and terminal control codes."""
    return "".join(character if character.isprintable() else json.dumps(character)[1:-1] for character in text)
