"""Resolve the path of an output file. Symbolic links are followed only if no other user can have created them."""

import errno
import os
import re
from pathlib import Path

from kuma_sd.core.errors import OutputError

MOST_LINKS = 40
"""Maximum number of symbolic links, as in the kernel (path_resolution(7))."""


def resolve_links(path: Path) -> Path:
    """Return the real path to write, so that readers of the given path see the new content.

    A file is replaced by renaming, which would replace a symbolic link instead of its target.

    Raises:
        OutputError: a link may have been created by another user.
    """
    try:
        return _follow(path)
    except OSError as error:
        raise OutputError(f"cannot find out where {str(path)!r} leads: {error.strerror}") from error


def check_output_path(path: Path) -> None:
    """Reject a path at which no file can be replaced.

    Raises:
        OutputError: as from `resolve_links`; or the path is a mount point, which cannot be replaced.
    """
    real = resolve_links(path)
    if str(real) in _mount_points():
        raise OutputError(
            f"{str(path)!r} is a mount of its own, as when a single file is mounted into a container, and cannot be "
            f"replaced; mount its directory {str(real.parent)!r} instead"
        )


def _follow(path: Path) -> Path:
    here, rest, links = Path("/"), list(reversed(path.absolute().parts[1:])), 0
    while rest:
        part = rest.pop()
        if part == "..":
            here = here.parent
            continue
        if not (here / part).is_symlink():
            here /= part
            continue
        links += 1
        if links > MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        _check_owners(here / part)
        target = (here / part).readlink()
        here = Path("/") if target.is_absolute() else here
        rest += reversed([part for part in target.parts if part != "/"])
    return here


def _check_owners(link: Path) -> None:
    for path in (link, link.parent):
        owner = path.lstat().st_uid
        if owner not in (0, os.geteuid()):
            what = "is a symbolic link that" if path == link else f"has the symbolic link {link.name!r} in it, and"
            raise OutputError(
                f"{str(path)!r} {what} belongs to another user (uid {owner}), who could lead us anywhere; "
                f"set the path to where it leads: {os.path.realpath(link)!r}"
            )


def _mount_points() -> set[str]:
    """Return the mount points that this process sees (proc_pid_mountinfo(5))."""
    try:
        lines = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return set()
    # Spaces and backslashes are escaped in octal.
    return {re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), line.split(" ")[4]) for line in lines}
