"""Make the private directory in which an instance of a plugin keeps what it must know after a restart."""

from pathlib import Path

from kuma_sd.core.close_on_error import close_on_error
from kuma_sd.core.errors import KumaSDError
from kuma_sd.state.directory import STATE_MODE
from kuma_sd.system.directories import OpenDirectory, open_directory
from kuma_sd.system.trust_rules import check_made_by_us

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
        with (
            open_directory(state_dir, STATE_MODE) as directory,
            _private(directory, FOLDER) as folder,
            _private(folder, path.name),
        ):
            return path
    except OSError as error:
        raise KumaSDError(f"cannot make the state directory {str(path)!r}: {error.strerror}") from error


def _private(directory: OpenDirectory, name: str) -> OpenDirectory:
    folder = directory.private_directory(name)
    with close_on_error(folder):
        check_made_by_us(folder.path, folder.status(), folder.descriptor)
    return folder
