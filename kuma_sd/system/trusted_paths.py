"""Decide whether what is at a path may be believed, followed or written into, or whether another user can have made it.

The rules are those of OpenSSH's StrictModes and of sudo. What belongs to root or to the daemon's user is trusted, if
nobody else may write it. For data the owner of the file decides, not who may write its directory: volumes of containers
are often open to everybody. For code nobody else may be able to replace the file either, at any directory above it.
"""

import contextlib
import errno
import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from kuma_sd.core.regular_file import open_regular

MOST_LINKS = 40
"""Maximum number of symbolic links, as in the kernel (path_resolution(7))."""

OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH

_ROOT = 0
"""The number of the user root, and of its group."""


class UntrustedError(OSError):
    """Another user can have put there what is at a path.

    Args:
        reason: a sentence without an end, which begins with the path; it is the error's ``strerror``.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(errno.EPERM, reason)


def trusted_owners(around: os.stat_result | None = None) -> frozenset[int]:
    """Return the users whose files are trusted.

    Args:
        around: the status of the directory that the files are in, if its owner may decide about them: he could replace
            them anyway.
    """
    ours = {_ROOT, os.geteuid()}
    return frozenset(ours | {around.st_uid} if around else ours)


def check_owner(path: Path, status: os.stat_result) -> None:
    """Reject what belongs neither to root nor to us.

    Args:
        path: where it is, for the message.
        status: the status of what was opened there.

    Raises:
        UntrustedError: it belongs to another user.
    """
    if status.st_uid not in trusted_owners():
        raise UntrustedError(f"{str(path)!r} belongs to another user (uid {status.st_uid})")


def check_writers(path: Path, status: os.stat_result) -> None:
    """Reject what other users than root and its owner may write.

    Args:
        path: where it is, for the message.
        status: the status of what was opened there.

    Raises:
        UntrustedError: others may write it.
    """
    # Whoever is in root's group may do anything anyway, and in many containers it is ours alone.
    allowed = stat.S_IWGRP if status.st_gid == _ROOT else 0
    if status.st_mode & OTHERS_MAY_WRITE & ~allowed:
        command = f"chmod go-w {shlex.quote(str(path))}"
        raise UntrustedError(f"{str(path)!r} can be written by other users; run: {command}")


def check_made_by_us(path: Path, status: os.stat_result) -> None:
    """Reject a file or directory that neither root nor we have made.

    Unlike `check_owner()` this allows for file systems that show another owner of all that we make, like NFS that maps
    all users to one. To find that out, a file is made beside it for a moment.

    Raises:
        UntrustedError: another user has made it.
    """
    if status.st_uid != _owner_of_new_files(path, status):
        check_owner(path, status)


def open_trusted(path: Path) -> BinaryIO:
    """Open a regular file that root or we have made, and that nobody else may write, except a group that we let.

    Raises:
        FileNotFoundError: there is no file.
        UntrustedError: another user can have written it, or the link that leads to it.
        OSError: it cannot be opened, or is not a regular file.
    """
    real = follow_links(path)
    file = open_regular(real, os.O_NOFOLLOW)
    try:
        _check_content(real, os.fstat(file.fileno()))
    except BaseException:
        file.close()
        raise
    return file


def is_trusted(path: Path) -> bool:
    """Tell whether there is a regular file of root or of us. Nothing is written to find that out."""
    try:
        status = follow_links(path).lstat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_uid in trusted_owners()


def is_readable_by_all(path: Path) -> bool:
    """Tell whether every user can read what is in a regular file."""
    try:
        status = path.stat()
    except OSError:
        # The file was a pipe, or has been removed.
        return False
    return stat.S_ISREG(status.st_mode) and bool(status.st_mode & stat.S_IROTH)


def follow_links(path: Path) -> Path:
    """Return where a path leads, if no other user can have made a link in it.

    Raises:
        UntrustedError: another user can have made a link.
        OSError: the links cannot be followed.
    """
    real = Path("/")
    for place, is_link in _passed(path):
        if is_link:
            _check_link(place)
        real = place
    return real


def check_directories(path: Path) -> None:
    """Reject a path if others may write a directory through which it leads, and so replace what is there.

    Raises:
        UntrustedError: others may write one, or it belongs to another user.
        OSError: a directory cannot be found.
    """
    for place, _ in _passed(path):
        around = place.parent.stat()
        check_owner(place.parent, around)
        # With the sticky bit nobody else can replace a directory of ours. A file or link may be there before ours.
        if not (around.st_mode & stat.S_ISVTX and stat.S_ISDIR(place.lstat().st_mode)):
            check_writers(place.parent, around)


def keep_private(path: Path, folder: int, around: os.stat_result) -> None:
    """Reject a folder that users may write who cannot write the directory that it is in; close one of ours to them.

    Args:
        path: its path, for the message.
        folder: a descriptor of it.
        around: the status of the directory that it is in.

    Raises:
        UntrustedError: others may write it.
        OSError: it cannot be closed to others.
    """
    owner = os.fstat(folder).st_uid
    if owner not in trusted_owners(around):
        raise UntrustedError(
            f"{str(path)!r} belongs to another user (uid {owner}), who could decide what is published; "
            "remove it, or write into a directory of your own"
        )
    if owner == os.geteuid() and os.fstat(folder).st_mode & OTHERS_MAY_WRITE:
        os.fchmod(folder, 0o700)
    if os.fstat(folder).st_mode & OTHERS_MAY_WRITE & ~_open_to_others(around):
        raise UntrustedError(f"others may write {str(path)!r}, and could decide what is published; remove it")


def _check_content(path: Path, status: os.stat_result) -> None:
    check_made_by_us(path, status)
    # A group may write it if the owner, which is us or root, lets it.
    if status.st_mode & stat.S_IWOTH & ~_open_to_others(path.parent.stat()):
        raise UntrustedError(f"{str(path)!r} can be written by every user")


def _open_to_others(around: os.stat_result) -> int:
    """Return the permissions by which others could replace a file in a directory, whatever its own permissions are.

    A file system without permissions shows the same ones for all files, which says nothing about one of them.
    """
    return 0 if around.st_mode & stat.S_ISVTX else around.st_mode


def _passed(path: Path) -> Iterator[tuple[Path, bool]]:
    """Yield what a path leads through, as the kernel follows it, and whether that is a link; where it leads last."""
    here, rest, links = Path("/"), list(reversed(path.absolute().parts[1:])), 0
    while rest:
        part = rest.pop()
        if part == "..":
            here = here.parent
            continue
        is_link = (here / part).is_symlink()
        yield here / part, is_link
        if not is_link:
            here /= part
            continue
        links += 1
        if links > MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        target = (here / part).readlink()
        here = Path("/") if target.is_absolute() else here
        rest += reversed([part for part in target.parts if part != "/"])
    yield here, False


def _check_link(link: Path) -> None:
    for path in (link, link.parent):
        owner = path.lstat().st_uid
        if owner not in trusted_owners():
            what = "is a symbolic link that" if path == link else f"has the symbolic link {link.name!r} in it, and"
            raise UntrustedError(
                f"{str(path)!r} {what} belongs to another user (uid {owner}), who could lead us anywhere; "
                f"set the path to where it leads: {os.path.realpath(link)!r}"
            )


def _owner_of_new_files(path: Path, status: os.stat_result) -> int | None:
    """Return who owns what we make on the same file system; None if that is who we are, or cannot be found out."""
    if status.st_uid in trusted_owners():
        return None
    directory = path if stat.S_ISDIR(status.st_mode) else path.parent
    name = f".kuma-sd.{os.urandom(4).hex()}.tmp"
    with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
        inside = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        stack.callback(os.close, inside)
        made = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=inside)
        stack.callback(os.close, made)
        os.unlink(name, dir_fd=inside)
        if os.fstat(made).st_dev == status.st_dev:
            return os.fstat(made).st_uid
    return None
