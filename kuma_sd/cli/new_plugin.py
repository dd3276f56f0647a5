"""Write a plugin distribution to start from: the files of the example, renamed."""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

from kuma_sd.core.errors import KumaSDError, UsageError

EXAMPLE = "kuma_sd_example_files"
"""Name of the package that holds the example's files."""

FILES = ("pyproject.toml", "setup.cfg", "kuma_sd_example/*.py", "kuma_sd_example/py.typed", "tests/*.py")
"""Patterns of the files that are written."""

_NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")


def write_distribution(name: str, directory: Path) -> Path:
    """Write the distribution ``kuma-sd-NAME`` into a new folder, and return the folder.

    Args:
        name: its name, with or without ``kuma-sd-`` in front.
        directory: the directory in which the folder is made.

    Raises:
        UsageError: the name is not valid.
        KumaSDError: the folder exists, or cannot be written.
    """
    short = name.removeprefix("kuma-sd-")
    if not _NAME.fullmatch(short):
        raise UsageError(f"'{name}' is no name; write small letters, digits and '-', like consul")
    distribution = f"kuma-sd-{short}".replace("_", "-")
    folder = directory / distribution
    names = {"kuma-sd-example": distribution, "kuma_sd_example": distribution.replace("-", "_")}
    try:
        folder.mkdir()
        (folder / "README.md").write_text(f"# {distribution}\n\nA plugin distribution for kuma-sd.\n", encoding="utf-8")
        for path, text in _example():
            target = folder / _renamed(path, names)
            target.parent.mkdir(exist_ok=True)
            target.write_text(_renamed(text, names), encoding="utf-8")
    except OSError as error:
        raise KumaSDError(f"cannot write {str(folder)!r}: {error.strerror}") from error
    return folder


def _example() -> Iterator[tuple[str, str]]:
    """Yield the example's files: the path of each in the distribution, and its text."""
    spec = importlib.util.find_spec(EXAMPLE)
    folders = map(Path, (spec and spec.submodule_search_locations) or ())
    base = next(folder for folder in folders if folder.is_dir())
    for pattern in FILES:
        for path in sorted(base.glob(pattern)):
            yield str(path.relative_to(base)), path.read_text(encoding="utf-8")


def _renamed(text: str, names: dict[str, str]) -> str:
    for old, new in names.items():
        text = text.replace(old, new)
    return text
