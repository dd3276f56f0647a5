"""File descriptors: those that every process has, and whether there are any left."""

import contextlib
import os

STANDARD = (0, 1, 2)


def open_standard_descriptors() -> None:
    """Open what is closed of stdin, stdout and stderr, so that no file of ours becomes one of them."""
    for descriptor in STANDARD:
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest that is free, so this very one.
            os.open(os.devnull, os.O_RDWR)


def require_descriptors(count: int = 16) -> None:
    """See that so many files can be opened, for a library that ends the process where there are none left.

    Raises:
        OSError: there are fewer.
    """
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.callback(os.close, os.open(os.devnull, os.O_RDONLY))
