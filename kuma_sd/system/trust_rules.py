"""Decide whether what was opened may be believed, followed or written into, or whether another user can have made it.

Only what is open is judged: a path may lead elsewhere a moment later.

The rules are those of OpenSSH's StrictModes and of sudo. What belongs to root or to the daemon's user is trusted, if
nobody else may write it. For data the owner of the file decides, not who may write its directory: volumes of containers
are often open to everybody. For code nobody else may be able to replace the file either, at any directory above it.
"""

import contextlib
import errno
import os
import shlex
import stat
from pathlib import Path

OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH

_OTHERS = stat.S_IRWXG | stat.S_IRWXO

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


def check_writers(path: Path, descriptor: int) -> None:
    """Reject what other users than root and its owner may write.

    Args:
        path: where it is, for the message.
        descriptor: a descriptor of it.

    Raises:
        UntrustedError: others may write it.
    """
    status = os.fstat(descriptor)
    # Whoever is in root's group may do anything anyway, and in many containers it is ours alone.
    is_roots_group = status.st_gid == _ROOT and not _has_access_list(descriptor)
    if status.st_mode & OTHERS_MAY_WRITE & ~(stat.S_IWGRP if is_roots_group else 0):
        command = f"chmod go-w {shlex.quote(str(path))}"
        raise UntrustedError(f"{str(path)!r} can be written by other users; run: {command}")


def check_replaceable(directory: Path, descriptor: int, found: os.stat_result) -> None:
    """Reject what other users could replace, because they may write the directory that it is in.

    Args:
        directory: the path of the directory, for the message.
        descriptor: a descriptor of the directory.
        found: the status of what is in it.

    Raises:
        UntrustedError: others may write the directory, or it belongs to another user.
    """
    around = os.fstat(descriptor)
    check_owner(directory, around)
    # With the sticky bit nobody else can replace a directory of ours. A file or link may be there before ours.
    if not (around.st_mode & stat.S_ISVTX and stat.S_ISDIR(found.st_mode)):
        check_writers(directory, descriptor)


def check_made_by_us(path: Path, status: os.stat_result, directory: int) -> None:
    """Reject a file or directory that neither root nor we have made.

    Unlike `check_owner()` this allows for file systems that show another owner of all that we make, like NFS that maps
    all users to one. To find that out, a file is made beside it for a moment.

    Args:
        path: where it is, for the message.
        status: the status of what was opened there.
        directory: a descriptor of the directory that it is in, or of itself.

    Raises:
        UntrustedError: another user has made it.
    """
    if status.st_uid != _owner_of_new_files(status, directory):
        check_owner(path, status)


def check_content(path: Path, status: os.stat_result, directory: int) -> None:
    """Reject a file unless root or we have made it, and nobody else may write it, except a group that we let.

    Args:
        path: where it is, for the message.
        status: the status of what was opened there.
        directory: a descriptor of the directory that it is in.

    Raises:
        UntrustedError: another user can have written it.
    """
    check_made_by_us(path, status, directory)
    # A group may write it if the owner, which is us or root, lets it.
    if status.st_mode & stat.S_IWOTH & ~_open_to_others(os.fstat(directory)):
        raise UntrustedError(f"{str(path)!r} can be written by every user")


def check_link(link: Path, target: Path, status: os.stat_result, around: os.stat_result) -> None:
    """Reject a symbolic link that another user can have made.

    Args:
        link: where it is, for the message.
        target: where it leads.
        status: its status.
        around: the status of the directory that it is in.

    Raises:
        UntrustedError: another user can have made it.
    """
    for path, owner in ((link, status.st_uid), (link.parent, around.st_uid)):
        if owner not in trusted_owners():
            what = "is a symbolic link that" if path == link else f"has the symbolic link {link.name!r} in it, and"
            raise UntrustedError(
                f"{str(path)!r} {what} belongs to another user (uid {owner}), who could lead us anywhere; remove the "
                f"link, or, if it is meant, set the path to where it leads: {str(link.parent / target)!r}"
            )


def is_readable_by_all(path: Path) -> bool:
    """Tell whether every user can read what is in a regular file."""
    try:
        status = path.stat()
    except OSError:
        # The file was a pipe, or has been removed.
        return False
    return stat.S_ISREG(status.st_mode) and bool(status.st_mode & stat.S_IROTH)


def check_private(path: Path, folder: int, around: os.stat_result) -> None:
    """Reject a folder that `keep_private()`, with the same arguments and error, would reject; change nothing."""
    status = os.fstat(folder)
    if status.st_uid not in trusted_owners(around):
        check_can_be_private(path, status)
    # One of ours is closed to others when it is used.
    if status.st_uid != os.geteuid():
        _check_closed(path, status, around)


def keep_private(path: Path, folder: int, around: os.stat_result) -> None:
    """Reject a folder that users may write who cannot write the directory that it is in; close one of ours to others.

    Args:
        path: its path, for the message.
        folder: a descriptor of it.
        around: the status of the directory that it is in.

    Raises:
        UntrustedError: others may write it.
    """
    check_private(path, folder, around)
    status = os.fstat(folder)
    if status.st_uid == os.geteuid() and status.st_mode & _OTHERS:
        # Some file systems show the same permissions for everything.
        with contextlib.suppress(OSError):
            os.fchmod(folder, 0o700)
    _check_closed(path, os.fstat(folder), around)


def check_can_be_private(path: Path, status: os.stat_result) -> None:
    """Reject what could not be opened as a folder of ours, with what to do about it.

    Args:
        path: where it is, for the message.
        status: its status.

    Raises:
        UntrustedError: it belongs to another user, is no directory, or is closed to its owner.
    """
    name, us = shlex.quote(str(path)), os.geteuid()
    if not stat.S_ISDIR(status.st_mode):
        raise UntrustedError(f"{str(path)!r} is no directory, and belongs to uid {status.st_uid}; remove it: rm {name}")
    if status.st_uid != us:
        raise UntrustedError(
            f"{str(path)!r} belongs to another user (uid {status.st_uid}), who could decide what is published; if "
            f"kuma-sd ran as that user before, run: chown -R {us} {name}; otherwise remove it: rm -r {name}"
        )
    if status.st_mode & stat.S_IRWXU != stat.S_IRWXU:
        raise UntrustedError(f"{str(path)!r} may not be entered by its owner (uid {us}); run: chmod 700 {name}")


def _check_closed(path: Path, status: os.stat_result, around: os.stat_result) -> None:
    if status.st_mode & OTHERS_MAY_WRITE & ~_open_to_others(around):
        raise UntrustedError(f"others may write {str(path)!r}, and could decide what is published; remove it")


def _open_to_others(around: os.stat_result) -> int:
    """Return the permissions by which others could replace a file in a directory, whatever its own permissions are.

    A file system without permissions shows the same ones for all files, which says nothing about one of them.
    """
    return 0 if around.st_mode & stat.S_ISVTX else around.st_mode


def _has_access_list(descriptor: int) -> bool:
    """Tell whether an access control list says who else may write; then the group's permissions are its mask (acl(5)).

    Of a file system without such lists, the permissions say it all.
    """
    try:
        # By this path, because a descriptor of O_PATH has no attributes.
        return "system.posix_acl_access" in os.listxattr(f"/proc/self/fd/{descriptor}")
    except OSError as error:
        return error.errno != errno.EOPNOTSUPP


def _owner_of_new_files(status: os.stat_result, directory: int) -> int | None:
    """Return who owns what we make on the same file system; None if that is who we are, or cannot be found out."""
    if status.st_uid in trusted_owners():
        return None
    name = f".kuma-sd.{os.urandom(4).hex()}.tmp"
    with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
        made = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=directory)
        stack.callback(os.close, made)
        os.unlink(name, dir_fd=directory)
        if os.fstat(made).st_dev == status.st_dev:
            return os.fstat(made).st_uid
    return None
