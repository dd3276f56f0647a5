"""File descriptors: those that every process has, and whether there are any left."""

import contextlib
import os
import select
from typing import TextIO

WRITABLE_TIMEOUT = 1.0
"""How long somebody who reads what we write may take to make room, in seconds."""


def open_standard_descriptors() -> None:
    """Open what is closed of stdin, stdout and stderr, so that no file of ours becomes one of them."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest that is free, so this very one.
            os.open(os.devnull, os.O_RDWR)


def is_writable(stream: TextIO) -> bool:
    """Tell whether a line can be written without waiting for ever: not into a pipe that is full and nobody reads."""
    poll = select.poll()
    try:
        poll.register(stream.fileno(), select.POLLOUT)
    except (OSError, ValueError):
        # It is no file, and so nothing that blocks.
        return True
    return bool(poll.poll(WRITABLE_TIMEOUT * 1000))


def require_descriptors(count: int = 16) -> None:
    """See that so many files can be opened, for a library that ends the process where there are none left.

    Raises:
        OSError: there are fewer.
    """
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.callback(os.close, os.open(os.devnull, os.O_RDONLY))
