"""Types of options: how each is written in settings, and the value that it gives."""

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from kuma_sd.core.options import OptionType
from kuma_sd.core.regular_file import read_regular
from kuma_sd.core.secret import Secret
from kuma_sd.core.url import parse_url

T = TypeVar("T")


@dataclass(frozen=True)
class FileContent:
    """The content of a file that an option names, so that options are unequal after the file was edited.

    Args:
        path: the file; None when the option is not set.
        content: its bytes when the settings were read.
    """

    path: Path | None
    content: bytes = dataclasses.field(default=b"", repr=False)

    def __str__(self) -> str:
        return str(self.path or "")


def _parse_number(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise ValueError("is not a whole number")
    return int(text)


def _parse_percentage(text: str) -> float:
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?%", text)
    if not found or float(found[1]) > 100:  # noqa: PLR2004 (per cent)
        raise ValueError("is not a percentage from 0% to 100%")
    return float(found[1]) / 100


def _parse_bool(text: str) -> bool:
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    if text.lower() not in words:
        raise ValueError("is not true or false")
    return words[text.lower()]


# The units of Prometheus and Go, without months and years, whose length is ambiguous.
_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d|w))+")


# Python limits how long a thread can wait; ten years are below that limit.
_LONGEST_DURATION = 3650 * 86400.0


def _parse_duration(text: str) -> float:
    if text == "0":
        return 0.0
    if not _DURATION.fullmatch(text):
        raise ValueError("is not a duration like 500ms, 30s, 2m or 1h30m")
    parts = re.findall(r"([0-9.]+)([a-z]+)", text)
    seconds = round(sum(float(number) * _DURATION_UNITS[unit] for number, unit in parts), 3)
    if seconds > _LONGEST_DURATION:
        raise ValueError("is longer than ten years")
    return seconds


def _parse_duration_or_forever(text: str) -> float:
    return float("inf") if text == "forever" else _parse_duration(text)


def show_duration(seconds: float) -> str:
    """Write a duration as in settings: ``90.0`` is ``1m30s``."""
    if seconds == float("inf"):
        return "forever"
    milliseconds, shown = round(seconds * 1000), ""
    for unit in ("h", "m", "s", "ms"):
        count, milliseconds = divmod(milliseconds, round(_DURATION_UNITS[unit] * 1000))
        shown += f"{count}{unit}" if count else ""
    return shown or "0"


_SIZE_UNITS = {"": 1, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def _parse_size(text: str) -> int:
    found = re.fullmatch(r"([0-9]+) ?(B|KiB|MiB|GiB)?", text)
    if not found:
        raise ValueError("is not a size like 64KiB, 16MiB or 1GiB")
    return int(found[1]) * _SIZE_UNITS[found[2] or ""]


def _show_size(count: int) -> str:
    for unit in ("GiB", "MiB", "KiB"):
        if count and count % _SIZE_UNITS[unit] == 0:
            return f"{count // _SIZE_UNITS[unit]}{unit}"
    return str(count)


def _parse_path(text: str) -> Path:
    if "\0" in text or not text:
        raise ValueError("is not a path")
    if "\n" in text:
        raise ValueError("has several lines and is not a path")
    return Path(text)


def _parse_file_content(text: str) -> FileContent:
    if not text:
        return FileContent(None)
    path = _parse_path(text)
    try:
        return FileContent(path, read_regular(path))
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error


def _parse_host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", text):
        raise ValueError("is not the name of a host, like kuma-sd.internal, without a port")
    return text.lower()


def _parse_host_and_port(text: str) -> str:
    # An IPv6 address is in brackets; an empty host means all addresses of the machine, as in Prometheus.
    found = re.fullmatch(r"(\[[0-9a-fA-F:.]+(%[A-Za-z0-9._-]+)?\]|[A-Za-z0-9._-]*):([0-9]{1,5})", text)
    if not found or int(found[3]) > 65535:  # noqa: PLR2004 (the highest port)
        raise ValueError("is not HOST:PORT, like 127.0.0.1:9119, [::1]:9119 or :9119")
    return text


def _parse_secret(text: str) -> Secret:
    if not text.isprintable():
        raise ValueError("holds the end of a line or another control character")
    return Secret(text)


TEXT = OptionType("text", str)
NUMBER = OptionType("number", _parse_number)
PERCENTAGE = OptionType("percentage", _parse_percentage, lambda share: f"{share * 100:.12g}%")
BOOL = OptionType("true|false", _parse_bool, lambda value: "true" if value else "false")
PATH = OptionType("path", _parse_path)
DURATION = OptionType("duration", _parse_duration, show_duration)
DURATION_OR_FOREVER = OptionType("duration|forever", _parse_duration_or_forever, show_duration)
SIZE = OptionType("size", _parse_size, _show_size)
SECRET = OptionType("secret", _parse_secret, str, secret=True)
FILE_NAME = OptionType("path", TEXT.parse, reads_file=True)
"""The path of a file that is read when it is needed; empty for none. `kuma-sd check` looks whether it is there."""
SECRET_FILE = OptionType("path", TEXT.parse, reads_file=True)
"""The path of such a file that holds a secret: the path may be shown, its content never. A type of its own, since the
tests of secrets try every option that has it."""
URL = OptionType("url", parse_url, may_hold_secret=True)
FILE_CONTENT = OptionType("file", _parse_file_content)
HOST = OptionType("host", _parse_host)
HOST_AND_PORT = OptionType("host:port", _parse_host_and_port)


def choice(*words: str) -> OptionType[str]:
    """Return the type of an option that accepts one of these words."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"is not one of {', '.join(words)}")
        return text

    return OptionType("|".join(words), parse, choices=words)


def list_of(item: OptionType[T]) -> OptionType[tuple[T, ...]]:
    """Return the type of an option that accepts several values, separated by blanks or line ends."""
    return _several(item, str.split, " ")


def lines_of(item: OptionType[T]) -> OptionType[tuple[T, ...]]:
    """Return the type of an option that accepts several values, one per line, which may hold blanks."""
    return _several(item, lambda text: [line.strip() for line in text.splitlines() if line.strip()], "\n")


def _several(item: OptionType[T], split: Callable[[str], list[str]], between: str) -> OptionType[tuple[T, ...]]:
    def parse_item(number: int, text: str) -> T:
        try:
            return item.parse(text)
        except ValueError as error:
            if item.secret or item.may_hold_secret:
                # Without the context, which could show the secret.
                raise ValueError(f"has an item, number {number}, that {error}") from None
            raise ValueError(f"has {text!r}, which {error}") from error

    def parse(text: str) -> tuple[T, ...]:
        return tuple(parse_item(number, part) for number, part in enumerate(split(text), 1))

    def show(values: tuple[T, ...]) -> str:
        return between.join(map(item.show, values))

    return OptionType(
        item.name,
        parse,
        show,
        repeated=True,
        secret=item.secret,
        may_hold_secret=item.may_hold_secret,
        choices=item.choices,
        reads_file=item.reads_file,
    )
