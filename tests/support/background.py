"""A function that runs in a thread of its own while a block runs."""

import contextlib
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def in_background(run: Callable[[], object], stop: Callable[[], object]) -> Iterator[None]:
    """Run a function in a thread while the block runs; then stop it, and wait for its end.

    Args:
        run: the function.
        stop: makes it return.
    """
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop()
        thread.join()
