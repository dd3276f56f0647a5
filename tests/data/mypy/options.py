"""Options whose type is not that of their field; mypy must refuse each line that says so, and no other."""

from dataclasses import dataclass
from pathlib import Path

from kuma_sd import (
    DURATION,
    FILE_CONTENT,
    NUMBER,
    PATH,
    REQUIRED,
    SECRET,
    TEXT,
    URL,
    FileContent,
    OptionType,
    Secret,
    Url,
    choice,
    list_of,
    option,
)

LEVEL = OptionType("level", int)


@dataclass(frozen=True)
class Right:
    path: Path = option(Path("a"), PATH, "A path.")
    text: str = option("", TEXT, "A text.")
    limit: int | None = option(None, NUMBER, "A number.", at_least=1, at_most=9)
    wait: float = option(10, DURATION, "A duration.", at_least=1)
    words: tuple[str, ...] = option((), list_of(TEXT), "Several texts.")
    style: str = option("short", choice("short", "long"), "A word.")
    token: Secret = option(REQUIRED, SECRET, "A secret.")
    proxy: Url | None = option(None, URL, "An address.")
    rules: FileContent = option(FileContent(None), FILE_CONTENT, "A file.")
    level: int = option(REQUIRED, LEVEL, "A level.")


@dataclass(frozen=True)
class Wrong:
    path: str = option(Path("a"), PATH, "The field is a text.")  # refused
    text: str = option("", NUMBER, "The type is a number.")  # refused
    limit: int = option(None, NUMBER, "The field cannot be None.")  # refused
    wait: float = option(10.0, DURATION, "The bound is a text.", at_least="1s")  # refused
    words: list[str] = option((), list_of(TEXT), "The field is a list.")  # refused
    numbers: tuple[int, ...] = option((), list_of(TEXT), "The items are texts.")  # refused
    token: str = option(REQUIRED, SECRET, "The field is a text.")  # refused
    proxy: Url = option(None, URL, "The field cannot be None.")  # refused
    level: str = option(REQUIRED, LEVEL, "The field is a text.")  # refused
