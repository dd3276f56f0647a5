"""Name what is no regular file, for messages."""

import os
import stat

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def kind_of(status: os.stat_result) -> str:
    """Return what it is, like ``a pipe``; empty for a regular file."""
    return _KINDS.get(stat.S_IFMT(status.st_mode), "")
