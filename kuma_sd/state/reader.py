"""Snapshots that a daemon saved under its state-dir, read back by whoever has the file."""

import os
from pathlib import Path

from kuma_sd.core.errors import PluginError, SourceError
from kuma_sd.core.model import Codec, Snapshot
from kuma_sd.plugin.manager import Plugins
from kuma_sd.state import snapshot_file
from kuma_sd.state.directory import open_regular

__all__ = ["LARGEST", "read_snapshot"]

LARGEST = 2**32
"""The largest file that is read, in bytes; a million targets are half a gigabyte."""


def read_snapshot(path: Path, control_plane: str = "") -> Snapshot:
    """Read a snapshot that a daemon saved under its ``state-dir``.

    Args:
        path: the file.
        control_plane: the name of the control plane that it becomes the snapshot of; empty for one without a name.

    Returns:
        All of it. Its ``received`` is when it came originally; its ``connected`` lies infinitely far back.

    Raises:
        SourceError: there is no such file, or it does not hold such a snapshot, or not all of it, or the source that
            could read it is not installed.
    """
    try:
        with open_regular(path) as file:
            _check_size(os.fstat(file.fileno()).st_size)
            return snapshot_file.read(file, None, control_plane, find_codec)
    except OSError as error:
        raise SourceError(f"the snapshot {str(path)!r} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SourceError(f"{str(path)!r} {error}") from error


def _check_size(size: int) -> None:
    if size > LARGEST:
        raise ValueError(f"is larger than {LARGEST >> 30} GiB")


def find_codec(name: str) -> Codec:
    """Find a codec among those of all sources that are installed; one that cannot be loaded is passed over."""
    plugins = Plugins()
    for available in plugins.available():
        if available.kind == "source":
            try:
                source = plugins.source(available.name)
                if source.codec:
                    return source.codec(name)
            except (PluginError, KeyError):
                continue
    raise KeyError(name)
