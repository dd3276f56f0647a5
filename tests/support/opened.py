"""Which files this process opens, whoever of it does."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_listening: list[tuple[Path, list[Path]]] = []


@contextlib.contextmanager
def opened_below(directory: Path) -> Iterator[list[Path]]:
    """Yield the paths that are opened below a directory until the block ends, relative to it."""
    listener = directory, list[Path]()
    _listening.append(listener)
    try:
        yield listener[1]
    finally:
        _listening.remove(listener)


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    # Called at every event of the interpreter, in any thread, so it must be quick and must not raise.
    if _listening and event == "open" and isinstance(arguments[0], str | bytes):
        path = Path(arguments[0].decode() if isinstance(arguments[0], bytes) else arguments[0])
        for directory, opened in _listening:
            if path.is_relative_to(directory):
                opened.append(path.relative_to(directory))


# A hook stays for the life of the process (sys.addaudithook); imported once, it is there once.
sys.addaudithook(_note)
