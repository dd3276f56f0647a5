"""Read a snapshot file that a daemon saved under its state-dir, from any program."""

import os
from pathlib import Path

from kuma_sd.core.errors import PluginError, SourceError
from kuma_sd.core.model import Codec, Snapshot
from kuma_sd.core.regular_file import open_regular
from kuma_sd.plugin.manager import Plugins
from kuma_sd.state import snapshot_file

__all__ = ["LARGEST", "read_snapshot"]

LARGEST = 2**32
"""Maximum size of a file that is read, in bytes; a million targets take half a gigabyte."""


def read_snapshot(path: Path, control_plane: str = "") -> Snapshot:
    """Read a snapshot that a daemon saved under its ``state-dir``.

    Args:
        path: the file.
        control_plane: the name to give the snapshot's control plane; empty for one without a name.

    Returns:
        The snapshot. Its ``received`` is when it was received originally; its ``connected`` lies infinitely far back.

    Raises:
        SourceError: the file does not exist, does not hold a complete snapshot, or the source that can read it is not
            installed.
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
    """Find a codec by name among all installed sources; sources that cannot be loaded are skipped."""
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
