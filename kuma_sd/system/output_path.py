"""Check the path of an output file, and resolve the symbolic links in it."""

import re
import stat
from pathlib import Path

from kuma_sd.core.errors import OutputError
from kuma_sd.system.trusted_paths import follow_links, trusted_owners

_DEVICES = {stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
_OTHERS = {stat.S_IFSOCK: "a socket", stat.S_IFIFO: "a pipe"}


def resolve_links(path: Path) -> Path:
    """Return the real path to write, so that readers of the given path see the new content.

    A file is replaced by renaming, which would replace a symbolic link instead of its target.

    Raises:
        OutputError: a link may have been created by another user.
    """
    try:
        return follow_links(path)
    except OSError as error:
        raise OutputError(f"cannot find out where {str(path)!r} leads: {error.strerror}") from error


def check_output_path(path: Path) -> None:
    """Reject a path at which no file can be replaced, or something else than a file would be.

    Raises:
        OutputError: as from `resolve_links`; or the path is a mount point, a device, a socket or a pipe.
    """
    real = resolve_links(path)
    if str(real) in _mount_points():
        raise OutputError(
            f"{str(path)!r} is a mount of its own, as when a single file is mounted into a container, and cannot be "
            f"replaced; mount its directory {str(real.parent)!r} instead"
        )
    if kind := _kind_to_keep(real):
        raise OutputError(f"{str(path)!r} is {kind}, which would be replaced by a file; give the output another path")


def _kind_to_keep(real: Path) -> str | None:
    """Return what is at a path if it must not be replaced by a file; None for a file, or if there is nothing."""
    try:
        status, around = real.lstat(), real.parent.stat()
    except OSError:
        # Nothing is there, or it is said when the file is written.
        return None
    kind = stat.S_IFMT(status.st_mode)
    # A pipe that another user put there is no mistake in the settings, and must not keep us from starting.
    is_meant = status.st_uid in trusted_owners(around)
    return _DEVICES.get(kind) or (_OTHERS.get(kind) if is_meant else None)


def _mount_points() -> set[str]:
    """Return the mount points that this process sees (proc_pid_mountinfo(5))."""
    try:
        lines = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return set()
    # Spaces and backslashes are escaped in octal.
    return {re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), line.split(" ")[4]) for line in lines}
