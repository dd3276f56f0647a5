"""Which files this process opens, whoever of it does."""

import contextlib
import os
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
    plain = os.open

    def noting(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        descriptor = plain(path, flags, mode, dir_fd=dir_fd)
        if dir_fd is not None:
            # The hook sees the name alone, not the directory.
            _note("open", (str(Path(f"/proc/self/fd/{descriptor}").readlink()),))
        return descriptor

    os.open = noting
    try:
        yield listener[1]
    finally:
        os.open = plain
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
