"""Say why what is at the place of a lock file cannot be locked, whose it is, and what to run."""

import os
import shlex

from kuma_sd.system.directories import OpenDirectory
from kuma_sd.system.file_kinds import kind_of
from kuma_sd.system.trust_rules import trusted_owners


def fault_of_lock_file(directory: OpenDirectory, name: str) -> str:
    """Return why the process cannot lock it, in a sentence without an end; empty if nothing shows why.

    Nothing is a fault that another user put there: kuma-sd goes on without a lock.

    Args:
        directory: the directory of the lock file.
        name: its name.
    """
    try:
        status = directory.status_of(name)
    except OSError:
        return ""
    owner, us = status.st_uid, os.geteuid()
    if owner not in trusted_owners(directory.status()):
        return ""
    path = str(directory.path / name)
    shown, quoted = f"{path!r} belongs to uid {owner} and", shlex.quote(path)
    if kind := kind_of(status):
        remove = "rm -r" if kind == "a directory" else "rm"
        return f"{shown} is {kind}, where kuma-sd locks a regular file; remove it: {remove} {quoted}"
    if not directory.may(name, os.R_OK | os.W_OK):
        command = "chmod 600" if owner == us else f"chown {us}"
        return f"{shown} may not be opened by kuma-sd's user (uid {us}); run: {command} {quoted}"
    return ""
