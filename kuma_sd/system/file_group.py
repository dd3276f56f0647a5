"""The group that a file is given to: its number, and whether this process may give files to it."""

import grp
import os
import pwd

from kuma_sd.core.errors import OutputError


def group_id(group: str) -> int:
    """Return the number of a group; -1 for the process's own, if the name is empty.

    Raises:
        OutputError: there is no such group.
    """
    if not group:
        return -1
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise OutputError(f"there is no group {group!r} to give the file to; make it, or set another group") from error


def give(descriptor: int, group_id: int) -> None:
    """Give an open file to a group; -1 for the process's own.

    Raises:
        PermissionError: the process is not in the group.
        OSError: the file system refuses it.
    """
    try:
        os.fchown(descriptor, -1, group_id)
    except PermissionError as error:
        user, group = _user(), _name(group_id)
        raise PermissionError(
            error.errno,
            f"the user {user} may not give the file to the group {group!r}, in which it is not; run: "
            f"usermod -aG {group} {user}, and restart kuma-sd; or set another group",
        ) from error


def check_group(group: str, *, as_daemon: bool) -> None:
    """Reject a group that does not exist, or to which this process may not give files.

    Args:
        group: its name; empty for the process's own.
        as_daemon: whether this user is the daemon's; if not, it does not matter what this process may do.

    Raises:
        OutputError: there is no such group, or the process is not in it.
    """
    number = group_id(group)
    if not as_daemon:
        return
    try:
        in_memory = os.memfd_create("kuma-sd")
    except OSError:
        # Not allowed here, which says nothing about the group.
        return
    try:
        # The kernel decides, as it does about the file.
        give(in_memory, number)
    except OSError as error:
        raise OutputError(error.strerror or str(error)) from error
    finally:
        os.close(in_memory)


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _name(group_id: int) -> str:
    try:
        return grp.getgrgid(group_id).gr_name
    except KeyError:
        return str(group_id)
