"""Wait for what sends no events."""

import threading
import time
from collections.abc import Callable

PATIENCE = 30.0
"""How long a test waits, in seconds."""


def eventually(condition: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    """Wait until a condition on files or other programs holds, which send no events; for so many seconds."""
    pause, deadline = threading.Event(), time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"never came true: {what}"
        pause.wait(0.02)
