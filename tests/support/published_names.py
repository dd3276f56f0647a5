"""What a published file holds."""

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path

from background import in_background


def names(path: Path) -> list[str]:
    """Return the dataplanes in a published file; none where there is no file."""
    return [group["labels"]["dataplane"] for group in json.loads(path.read_bytes())] if path.exists() else []


@contextlib.contextmanager
def never_without(expected: list[str], *paths: Path) -> Iterator[None]:
    """Read files all the time while the block runs; none may ever lack one of these dataplanes."""
    ended, missing = threading.Event(), set[Path]()

    def look() -> None:
        while not ended.wait(0.002):
            missing.update(path for path in paths if not set(expected) <= set(names(path)))

    with in_background(look, ended.set):
        yield
    assert missing == set()
