"""Make the private directory in which an instance of a plugin keeps what it must know after a restart."""

import contextlib
import os
from pathlib import Path

from kuma_sd.core.errors import KumaSDError
from kuma_sd.state.directory import make_state_directory
from kuma_sd.system.directories import sync_directory
from kuma_sd.system.trusted_paths import check_made_by_us, keep_private

FOLDER = "plugins"
"""Name of the folder in the state directory that has a directory for each instance."""


def make_instance_directory(state_dir: Path, kind: str, name: str) -> Path:
    """Make the directory of an instance if it is missing, and check that no other user can write it.

    Args:
        state_dir: the state directory.
        kind: source, transform or output.
        name: the name of the instance; empty for the only control plane.

    Raises:
        KumaSDError: it cannot be made, or another user can write it.
    """
    # Names of instances have no dot, so that no two directories are the same.
    path = state_dir / FOLDER / (f"{kind}.{name}" if name else kind)
    try:
        make_state_directory(state_dir)
        _make_private(path.parent)
        _make_private(path)
    except OSError as error:
        raise KumaSDError(f"cannot make the state directory {str(path)!r}: {error.strerror}") from error
    return path


def _make_private(path: Path) -> None:
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
        sync_directory(path.parent)
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        check_made_by_us(path, os.fstat(folder))
        keep_private(path, folder, path.parent.stat())
    finally:
        os.close(folder)
