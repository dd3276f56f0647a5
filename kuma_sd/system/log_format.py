"""The log: one line per event on stderr, as logfmt or JSON, with a field for each fact."""

import json
import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

from kuma_sd.core.logger import Event
from kuma_sd.core.secret import redacted
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
"""What a value of logfmt may hold without quotes."""

_writers: list[LogWriter] = []
"""The thread that writes stderr, once there is one."""


def configure(level: str = "info", format_: str = "logfmt", stream: TextIO | None = None) -> None:
    """Set logging up, or anew.

    Args:
        level: the least level that is logged: debug, info, warn, error or off.
        format_: logfmt or json.
        stream: where lines go; stderr if None.
    """
    handler = logging.StreamHandler(stream or next(iter(_writers), sys.stderr))
    formatter = _JSON() if format_ == "json" else _Logfmt()
    handler.setFormatter(_ForJournal(formatter) if goes_to_journal(stream or sys.stderr, os.environ) else formatter)
    logging.basicConfig(level=LEVELS[level], handlers=[handler], force=True)
    # It logs each inotify event at debug level, those that logging to a watched file causes included.
    logging.getLogger("watchdog").setLevel(max(LEVELS[level], logging.WARNING))


def write_in_thread() -> None:
    """Write stderr from a thread of its own from now on, so that nobody who logs waits for whoever reads the log."""
    if _writers:
        return
    writer = LogWriter(sys.stderr, _describe_loss)
    writer.start()
    _writers.append(writer)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stderr:
            handler.setStream(writer)


def drain(timeout: float) -> None:
    """Wait until all that was logged is written, but not longer than this many seconds."""
    for writer in _writers:
        writer.drain(timeout)


def _describe_loss(lines: int) -> str:
    event = Event("log lines were lost, because nobody read the log in time", {"lines": lines})
    record = logging.LogRecord(__name__, logging.WARNING, __file__, 0, event, None, None)
    return "".join(f"{handler.format(record)}\n" for handler in logging.getLogger().handlers[:1])


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
    """Escape what is not printable: what comes from outside may hold line ends, and codes that terminals obey."""
    return "".join(character if character.isprintable() else json.dumps(character)[1:-1] for character in text)
