"""File descriptors: the three standard ones, and whether enough are free."""

import contextlib
import os
import resource
import select
from typing import TextIO

WRITABLE_TIMEOUT = 1.0
"""Maximum wait for a reader to make room in a pipe, in seconds."""

ENOUGH_DESCRIPTORS = 32768
"""Number of descriptors that is enough for any use of them; that of the systemd unit."""


def raise_descriptor_limit() -> None:
    """Allow this process as many descriptors as its hard limit does.

    The soft limit is usually 1024, for programs that call ``select``. Neither this program nor its
    libraries do.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, ENOUGH_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def share_of_descriptors(part: int) -> int:
    """Return a part of the descriptors that this process may have, like 4 for a quarter."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (ENOUGH_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft) // part


def open_standard_descriptors() -> None:
    """Open closed standard streams, so that no other file gets their descriptors."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # open() uses the lowest free descriptor, which is this one.
            os.open(os.devnull, os.O_RDWR)


def is_writable(stream: TextIO) -> bool:
    """Tell whether a line can be written without blocking for ever, as on a full pipe without a reader."""
    poll = select.poll()
    try:
        poll.register(stream.fileno(), select.POLLOUT)
    except (OSError, ValueError):
        # Not a file, so it cannot block.
        return True
    return bool(poll.poll(WRITABLE_TIMEOUT * 1000))


def require_descriptors(count: int = 16) -> None:
    """Check that this many files can be opened, for a library that aborts the process otherwise.

    Raises:
        OSError: fewer descriptors are free.
    """
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.callback(os.close, os.open(os.devnull, os.O_RDONLY))
