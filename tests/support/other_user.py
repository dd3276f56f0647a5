"""The user that kuma-sd runs as in a test: not root, to whom nothing is refused."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

KUMA_SD = 12345
"""A user that is not root."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="giving files to others needs root")


def give_to(user: int, *paths: Path) -> None:
    """Give files, directories and links to a user, with the group of the same number."""
    for path in paths:
        os.chown(path, user, user, follow_symlinks=False)


@contextlib.contextmanager
def as_user(user: int, directory: Path) -> Iterator[None]:
    """Be another user in a block; needs root.

    Args:
        user: the user.
        directory: a directory of the test, which the user must be able to reach.
    """
    for parent in [directory, *directory.parents[:-1]]:
        parent.chmod(parent.stat().st_mode | 0o755)
    groups, group = os.getgroups(), os.getegid()
    os.setgroups([])
    os.setegid(user)
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)
