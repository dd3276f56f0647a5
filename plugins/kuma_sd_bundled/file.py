"""The source ``file:``: replays a snapshot that a daemon saved under its ``state-dir``."""

import dataclasses
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from kuma_sd import (
    ConfigError,
    Context,
    FileWatcher,
    NoOptions,
    Snapshot,
    SourcePlugin,
    SourceStatus,
    Url,
    hookimpl,
    read_snapshot,
)


class SavedSnapshot:
    """Yields the snapshot in a file, and again whenever the file changes.

    Args:
        path: the file.
        control_plane: the name to give the snapshot's control plane.
    """

    def __init__(self, path: Path, control_plane: str) -> None:
        self.status = SourceStatus()
        self._path = path
        self._control_plane = control_plane
        self._changed = threading.Event()
        self._closed = False

    def __iter__(self) -> Iterator[Snapshot]:
        """Yield the snapshot, and again each time the file changes.

        Raises:
            SourceError: the file does not exist, or cannot be read.
        """
        watcher = FileWatcher([self._path], lambda _changed: self._changed.set())
        threading.Thread(target=watcher.run, name=f"watch {self._path.name}", daemon=True).start()
        connected = time.monotonic()
        try:
            while True:
                # Before the check for close(), so that none is missed.
                self._changed.clear()
                if self._closed:
                    return
                snapshot = read_snapshot(self._path, self._control_plane)
                self.status = SourceStatus(
                    connected=True, last_response=time.time(), protocol="saved snapshot", why=f"in {str(self._path)!r}"
                )
                yield dataclasses.replace(snapshot, connected=connected)
                del snapshot
                self._changed.wait()
        finally:
            watcher.close()
            self.status = dataclasses.replace(self.status, connected=False, protocol="", contact=time.monotonic())

    def close(self) -> None:
        """End the iteration immediately; called from any thread."""
        self._closed = True
        self._changed.set()


def parse_path(address: Url) -> Path:
    """Return the path in an address like ``file:/var/lib/kuma-sd/east.snapshot`` or ``file:///var/lib/…``.

    Raises:
        ConfigError: it names another machine, or no file.
    """
    if address.hosts not in ("", "localhost") or address.user_info:
        raise ConfigError(f"'{address}' names another machine; write file:/PATH for a file of this one")
    path = unquote(address.path)
    if not path.strip("/") or "\0" in path:
        raise ConfigError(f"'{address}' names no file; write it like file:/var/lib/kuma-sd/east.snapshot")
    return Path(path)


@hookimpl
def kuma_sd_source_plugin() -> SourcePlugin:
    """Describe file."""
    return SourcePlugin(open=_open)


def _open(_options: NoOptions, context: Context) -> SavedSnapshot:
    return SavedSnapshot(parse_path(context.address), context.name)
