"""A stranger who swaps a directory of his for a link, at any moment."""

import ctypes
import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from kuma_sd.core.errors import KumaSDError

STRANGER = 65534
"""A user that is neither root nor us."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="a stranger needs root, to give him files")

# Of renameat2(2).
_AT_FDCWD, _EXCHANGE = -100, 2

# What uses a path or a name.
_CALLS = ("open", "mkdir", "stat", "lstat", "readlink", "rename", "replace", "unlink", "listdir", "scandir", "fstat")

_LOOP = """
import ctypes, os, sys
os.setgroups([]), os.setgid(int(sys.argv[1])), os.setuid(int(sys.argv[1]))
rename = ctypes.CDLL(None).renameat2
one, other = map(os.fsencode, sys.argv[2:])
assert rename(-100, one, -100, other, 2) == 0
print("swapping", flush=True)
while True:
    rename(-100, one, -100, other, 2)
"""


def exchange(one: Path, other: Path) -> None:
    """Let two things take each other's place in one step."""
    assert ctypes.CDLL(None).renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE) == 0


class Swapped(NamedTuple):
    """What a stranger has.

    Args:
        path: a directory in a directory of his, which he can swap for a link.
        link: the link; it leads to `foreign`.
        foreign: a directory of ours, in which he may not write.
    """

    path: Path
    link: Path
    foreign: Path

    @classmethod
    def made(cls, parent: Path) -> "Swapped":
        """Make all of it in a directory."""
        his, foreign = parent / "his", parent / "foreign"
        for directory in (parent, his, his / "real", foreign):
            directory.mkdir(exist_ok=True)
        (his / "link").symlink_to(foreign)
        for path in (his, his / "real", his / "link"):
            os.chown(path, STRANGER, STRANGER, follow_symlinks=False)
        return cls(his / "real", his / "link", foreign)

    def swap(self) -> None:
        """Swap the directory and the link."""
        exchange(self.path, self.link)

    @contextmanager
    def again_and_again(self) -> Iterator[None]:
        """Swap in a process of the stranger's until the block ends."""
        # pytest's directories are only its user's.
        for parent in self.path.parents[1:-1]:
            parent.chmod(parent.stat().st_mode | 0o755)
        command = [sys.executable, "-c", _LOOP, str(STRANGER), str(self.path), str(self.link)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as stranger:
            assert stranger.stdout is not None
            assert stranger.stdout.readline()
            try:
                yield
            finally:
                stranger.kill()


def swapped_at_each_call(parent: Path, action: Callable[[Swapped], object]) -> Iterator[Swapped]:
    """Do something once for each system call in it, with the directory swapped right before that call.

    Errors are passed over as far as they are expected ones.

    Yields:
        What was there, after each attempt.
    """
    for number in itertools.count():
        place = Swapped.made(parent / str(number))
        with interrupted_at(number, place.swap) as was_reached, suppress(KumaSDError, OSError):
            action(place)
        if not was_reached():
            return
        yield place


@contextmanager
def interrupted_at(number: int, interrupt: Callable[[], object]) -> Iterator[Callable[[], bool]]:
    """Do something right before a system call on a path or name, counted from 0.

    Yields:
        A function that tells whether there were as many calls.
    """
    calls = itertools.count()
    made = 0

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def interrupted(*arguments: Any, **options: Any) -> Any:
            nonlocal made
            made = next(calls) + 1
            if made == number + 1:
                interrupt()
            return call(*arguments, **options)

        return interrupted

    with pytest.MonkeyPatch.context() as patch:
        for name in _CALLS:
            patch.setattr(os, name, counted(getattr(os, name)))
        yield lambda: made > number
