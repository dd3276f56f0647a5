"""Read the published file continuously, and record every version."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from background import in_background

Key = tuple[str, str]
"""Mesh and name."""

Published = dict[Key, str]
"""The service of each target, which serves as its version."""

PAUSE = 0.002

ALWAYS = float("inf")


def parse(data: bytes) -> Published:
    """Return what a file holds.

    Raises:
        ValueError: it is not whole.
    """
    labels = [group["labels"] for group in json.loads(data)]
    return {(label["mesh"], label["dataplane"]): label["service"] for label in labels}


def published(path: Path) -> Published:
    """Return what a file holds now; nothing if it is not there."""
    try:
        return parse(path.read_bytes())
    except OSError:
        return {}


class Reader:
    """Reads the file again and again, in a thread.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._required: dict[Key, float] = {}
        self._closing = threading.Event()
        self.reads = 0
        self.unreadable = 0
        self.empty = 0
        self.absent = 0
        self.lost: set[Key] = set()

    def require(self, keys: Mapping[Key, float]) -> None:
        """Expect these in the file from now on, each until a time in seconds of ``time.monotonic()``."""
        with self._lock:
            self._required = dict(keys)

    def run(self) -> None:
        """Read until closed."""
        while not self._closing.wait(PAUSE):
            with self._lock:
                required = self._required
            self._read(required)

    def close(self) -> None:
        """End run()."""
        self._closing.set()

    def _read(self, required: Mapping[Key, float]) -> None:
        try:
            data = self._path.read_bytes()
        except OSError:
            self.absent += bool(required)
            return
        now = time.monotonic()
        self.reads += 1
        try:
            there = parse(data)
        except (ValueError, KeyError, TypeError):
            self.unreadable += 1
            return
        self.empty += bool(required) and not there
        self.lost |= {key for key, until in required.items() if until > now and key not in there}


@contextlib.contextmanager
def reading(path: Path) -> Iterator[Reader]:
    """Read a file continuously while the block runs."""
    reader = Reader(path)
    with in_background(reader.run, reader.close):
        yield reader
