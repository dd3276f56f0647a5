"""A file watcher that tests drive step by step."""

import threading

from kuma_sd import FileWatcher


def settle(watcher: FileWatcher) -> None:
    """Wait until the watcher looked at all files once more; it tells nobody when it does."""
    looked = threading.Event()
    look = watcher._look

    def once() -> bool:
        touched = look()
        watcher._look = look  # type: ignore[method-assign]
        looked.set()
        return touched

    watcher._look = once  # type: ignore[method-assign]
    watcher._stirred.set()
    assert looked.wait(10)
