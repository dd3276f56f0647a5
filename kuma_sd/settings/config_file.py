"""Reading and writing the settings file: strict, section-aware, and every line remembered.

The standard library's configparser forgets line numbers, and ConfigArgParse's parsers take sections for comments.
"""

import re
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from kuma_sd.core.errors import ConfigError
from kuma_sd.core.regular_file import read_regular

_SECTION = re.compile(r"\[([^\[\]]+)\]")
# Nothing but words in front of "=": whatever else a line holds may be a secret, and keys are shown in messages.
_KEY = re.compile(r"([A-Za-z0-9_.-]+)\s*=\s*(.*)")


@dataclass(frozen=True)
class Entry:
    """One option as it stands in a file; its value may be a secret and never shows itself."""

    section: str
    key: str
    value: str = field(repr=False)
    line: int


class ConfigFile(NamedTuple):
    """What stands in a file.

    Args:
        name: the file as the user named it.
        sections: the line of each section's header, by name.
        entries: all options, in the order of the file.
    """

    name: str
    sections: dict[str, int]
    entries: tuple[Entry, ...]


def read_config_file(path: str) -> ConfigFile:
    """Read a settings file.

    Raises:
        ConfigError: it cannot be read, or a line of it is wrong; the message never holds a value.
    """
    try:
        data = read_regular(Path(path))
    except OSError as error:
        raise ConfigError(f"cannot read the settings file {path}: {error.strerror}") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: is not UTF-8 text") from error
    return parse_config(text, path)


def parse_config(text: str, name: str) -> ConfigFile:
    """Read the text of a settings file.

    Args:
        text: sections of ``key = value`` lines. Comments stand on lines of their own and start with ``#`` or ``;``.
            Indented lines continue a value and keep their indentation relative to one another.
        name: what to call it in messages.

    Raises:
        ConfigError: a line is wrong.
    """
    reader = _Reader(name)
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        reader.take(number, line.rstrip())
    return reader.finish()


def write_entry(key: str, value: str) -> str:
    """Write an option the way `parse_config` reads it back, further lines of its value indented."""
    lines = textwrap.indent("\n" + value, "    ") if "\n" in value else f" {value}"
    return f"{key} ={lines}".rstrip()


class _Reader:
    """Reads one file, line by line."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._section = ""
        self._sections: dict[str, int] = {}
        self._lines: dict[tuple[str, str], int] = {}
        self._values: dict[tuple[str, str], list[str]] = {}
        self._open: list[str] | None = None

    def take(self, number: int, line: str) -> None:
        """Read the next line."""
        text = line.lstrip()
        if text.startswith(("#", ";")):
            return
        if not text or text != line:
            self._continue(number, line)
        elif text.startswith("["):
            self._start_section(number, text)
        else:
            self._start_value(number, text)

    def finish(self) -> ConfigFile:
        """Return all that was read."""
        entries = (
            Entry(section, key, _value_of(lines), self._lines[section, key])
            for (section, key), lines in self._values.items()
        )
        return ConfigFile(self._name, self._sections, tuple(entries))

    def _continue(self, number: int, line: str) -> None:
        if self._open is not None:
            self._open.append(line)
        elif line:
            raise self._error(number, "this line is indented but continues no option")

    def _start_section(self, number: int, text: str) -> None:
        found = _SECTION.fullmatch(text)
        if not found:
            raise self._error(number, "a section is written [name], on a line without anything else")
        self._section, self._open = found[1], None
        if found[1] in self._sections:
            raise self._error(number, f"section {text} stands in line {self._sections[found[1]]} already")
        self._sections[found[1]] = number

    def _start_value(self, number: int, text: str) -> None:
        found = _KEY.fullmatch(text)
        if not found:
            raise self._error(number, "this line is no 'key = value', no [section] and no comment")
        key = self._section, found[1]
        if not self._section:
            raise self._error(number, f"'{found[1]}' stands before any section; write [kuma-sd] above it")
        if key in self._lines:
            raise self._error(number, f"'{found[1]}' in [{self._section}] is set in line {self._lines[key]} already")
        self._lines[key] = number
        self._values[key] = self._open = [found[2]]

    def _error(self, number: int, what: str) -> ConfigError:
        return ConfigError(f"{self._name}:{number}: {what}")


def _value_of(lines: list[str]) -> str:
    first, block = lines[0], textwrap.dedent("\n".join(lines[1:]))
    return f"{first}\n{block}".strip("\n")
