"""Read and write the settings file: strict, with sections, and with the line number of each option.

The standard library's configparser loses line numbers, and ConfigArgParse's parsers ignore sections.
"""

import errno
import os
import re
import select
import textwrap
from pathlib import Path
from typing import NamedTuple

import msgspec

from kuma_sd.core.errors import ConfigError
from kuma_sd.core.regular_file import LARGEST, read_regular
from kuma_sd.core.text import size

PIPE_SECONDS = 5.0
"""If the settings file is a pipe: maximum pause of its writer, in seconds."""

_SECTION = re.compile(r"\[([^\[\]]+)\]")
# Only words before "=": other text may be a secret, and messages show keys.
_KEY = re.compile(r"([A-Za-z0-9_.-]+)\s*=\s*(.*)")

_YAML_OR_JSON = re.compile(r"---|- |\{|\[\s*[{\"]|[\w.-]+:(\s|$)")
_NO_INI = "this looks like YAML or JSON; settings are an INI file: [kuma-sd], and below it lines like 'name = value'"


class Entry(msgspec.Struct, frozen=True):
    """An option in a file. Its value may be a secret and is never shown."""

    section: str
    key: str
    value: str
    line: int
    continued: tuple[tuple[int, str], ...] = ()
    """Its continuation lines: number and text of each."""

    def __repr__(self) -> str:
        return f"Entry({self.section!r}, {self.key!r}, line={self.line})"


class ConfigFile(NamedTuple):
    """The content of a settings file.

    Args:
        name: the file as the user named it.
        sections: the line of each section's header, by name.
        entries: all options, in the order of the file.
        mistakes: a message for each invalid line, which never contains a value.
    """

    name: str
    sections: dict[str, int]
    entries: tuple[Entry, ...]
    mistakes: tuple[str, ...] = ()


def read_config_file(path: str) -> ConfigFile:
    """Read a settings file; invalid lines are reported in ``mistakes``.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        data = _read_pipe(path) if Path(path).is_fifo() else read_regular(Path(path))
    except OSError as error:
        raise ConfigError(f"cannot read the settings file {path}: {error.strerror}") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: is not UTF-8 text") from error
    return parse_config(text, path)


def _read_pipe(path: str) -> bytes:
    """Read a shell's ``-c <(…)``, without waiting for ever for its writer.

    Raises:
        OSError: it is empty, as when it was read before; empty settings would silently mean the defaults.
    """
    data, piece = bytearray(), b""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        while waiting.poll(round(PIPE_SECONDS * 1000)):
            piece = os.read(descriptor, 2**16)
            data += piece
            if not piece or len(data) > LARGEST:
                break
    finally:
        os.close(descriptor)
    if not data:
        raise OSError(errno.ENODATA, "Nothing is in this pipe")
    if len(data) > LARGEST:
        raise OSError(errno.EFBIG, f"Larger than {size(LARGEST)}")
    if piece:
        raise OSError(errno.ETIMEDOUT, f"Nothing more came out of this pipe for {PIPE_SECONDS:g} seconds")
    return bytes(data)


def parse_config(text: str, name: str) -> ConfigFile:
    """Read the text of a settings file.

    Args:
        text: sections of ``key = value`` lines. Comments are on separate lines and start with ``#`` or ``;``.
            Indented lines continue a value and keep their indentation relative to one another.
        name: the file's name in messages.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    if other := _other_format(lines):
        return ConfigFile(name, {}, (), (f"{name}:{other}: {_NO_INI}",))
    reader = _Reader(name)
    for number, line in enumerate(lines, start=1):
        reader.take(number, line.rstrip())
    return reader.finish()


def write_entry(key: str, value: str) -> str:
    """Format an option so that `parse_config` can read it back; further lines of its value are indented."""
    lines = textwrap.indent("\n" + value, "    ") if "\n" in value else f" {value}"
    return f"{key} ={lines}".rstrip()


def _other_format(lines: list[str]) -> int:
    """Return the number of the line that shows that the text is YAML or JSON; 0 if none does."""
    for number, line in enumerate(lines, start=1):
        if line.strip() and not line.lstrip().startswith(("#", ";")):
            return number if _YAML_OR_JSON.match(line) else 0
    return 0


class _Reader:
    """Parses one file line by line."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._section = ""
        self._sections: dict[str, int] = {}
        self._lines: dict[tuple[str, str], int] = {}
        self._values: dict[tuple[str, str], list[tuple[int, str]]] = {}
        self._open: list[tuple[int, str]] | None = None
        self._mistakes: list[str] = []

    def take(self, number: int, line: str) -> None:
        """Parse the next line."""
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
        """Return the parsed content."""
        entries = (
            Entry(section, key, _value_of([text for _, text in lines]), self._lines[section, key], tuple(lines[1:]))
            for (section, key), lines in self._values.items()
        )
        return ConfigFile(self._name, self._sections, tuple(entries), tuple(self._mistakes))

    def _continue(self, number: int, line: str) -> None:
        if self._open is not None:
            self._open.append((number, line))
        elif line:
            self._note(number, "this line is indented but continues no option")

    def _start_section(self, number: int, text: str) -> None:
        found = _SECTION.fullmatch(text)
        if not found:
            self._note(number, "a section is written [name], on a line without anything else")
            self._section = text
            self._open = []
            return
        self._section = found[1]
        self._open = None
        if found[1] in self._sections:
            self._note(number, f"section {text} stands in line {self._sections[found[1]]} already")
        self._sections.setdefault(found[1], number)

    def _start_value(self, number: int, text: str) -> None:
        found = _KEY.fullmatch(text)
        # A continuation of an invalid line is not a mistake of its own.
        self._open = []
        if not found:
            self._note(number, "this line is no 'key = value', no [section] and no comment")
        elif not self._section:
            self._note(number, f"'{found[1]}' stands before any section; write [kuma-sd] above it")
        elif line := self._lines.get((self._section, found[1])):
            self._note(number, f"'{found[1]}' in [{self._section}] is set in line {line} already")
        else:
            self._open = [(number, found[2])]
            self._values[self._section, found[1]] = self._open
            self._lines[self._section, found[1]] = number

    def _note(self, number: int, what: str) -> None:
        self._mistakes.append(f"{self._name}:{number}: {what}")


def _value_of(lines: list[str]) -> str:
    first, block = lines[0], textwrap.dedent("\n".join(lines[1:]))
    return f"{first}\n{block}".strip("\n")
