"""Check the path of an output file."""

import errno
import os
import re
import shlex
import stat
from pathlib import Path

from kuma_sd.core.errors import OutputError
from kuma_sd.system.directories import OpenDirectory, open_path
from kuma_sd.system.file_kinds import kind_of
from kuma_sd.system.staging import longest_name
from kuma_sd.system.trust_rules import trusted_owners

_DEVICES = (stat.S_IFCHR, stat.S_IFBLK)
_OTHERS = (stat.S_IFSOCK, stat.S_IFIFO)


def check_output_path(path: Path) -> None:
    """Reject a path at which no file can be replaced, or something else than a file would be.

    Raises:
        OutputError: another user can have made a link on the way; or the path is a mount point, a device, a socket or a
            pipe; or its name is too long.
    """
    try:
        with open_path(path) as (directory, name):
            _check_length(path, name, longest_name(directory))
            _check_name(path, directory, name)
    except (FileNotFoundError, NotADirectoryError):
        # Nothing is there, or it is said when the file is written.
        _check_length(path, path.name, longest_name())
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            _check_length(path, path.name, longest_name())
        raise OutputError(f"cannot find out where {str(path)!r} leads: {error.strerror}") from error


def _check_length(path: Path, name: str, longest: int) -> None:
    length = len(os.fsencode(name))
    if length > longest:
        raise OutputError(
            f"the name of {str(path)!r} is too long: it has {length} bytes, and may have {longest}, because an ending "
            "is added while it is written; give it a shorter one"
        )


def _check_name(path: Path, directory: OpenDirectory, name: str) -> None:
    if str(directory.path / name) in _mount_points():
        raise OutputError(
            f"{str(path)!r} is a mount of its own, as when a single file is mounted into a container, and cannot be "
            f"replaced; mount its directory {str(directory.path)!r} instead"
        )
    status = directory.status_of(name)
    kind = stat.S_IFMT(status.st_mode)
    # A pipe that another user put there is no mistake in the settings, and must not keep us from starting.
    is_meant = status.st_uid in trusted_owners(directory.status())
    if stat.S_ISDIR(kind) and not is_meant:
        raise OutputError(
            f"{str(path)!r} is a directory of another user (uid {status.st_uid}); "
            f"remove it: rm -r {shlex.quote(str(path))}"
        )
    if kind in _DEVICES or (kind in _OTHERS and is_meant):
        raise OutputError(
            f"{str(path)!r} is {kind_of(status)}, which would be replaced by a file; give the output another path"
        )


def _mount_points() -> set[str]:
    """Return the mount points that this process sees (proc_pid_mountinfo(5))."""
    try:
        lines = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return set()
    # Spaces and backslashes are escaped in octal.
    return {re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), line.split(" ")[4]) for line in lines}
