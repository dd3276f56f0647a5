"""Find threads of the daemon that hang: then it is not healthy, since only another start would help."""

import time
from collections.abc import Iterable, Iterator, Mapping

from kuma_sd.core.text import duration
from kuma_sd.plugin.code_place import current_place

STUCK_SECONDS = 60.0
"""Threads of the daemon without progress for so long are stuck; threads that run plugins have no limit. In seconds."""


def stuck_threads(moved: Mapping[str, float], died: Iterable[str]) -> Iterator[str]:
    """Say which threads hang or ended.

    Args:
        moved: when each thread made progress last, by name, in monotonic seconds.
        died: the names of threads that ended.
    """
    now = time.monotonic()
    for name in died:
        yield f"{name}: its thread died"
    for name, when in moved.items():
        if now - when > STUCK_SECONDS:
            # A plugin's transform may block.
            place = current_place(name)
            yield f"{name}: it has not moved for {duration(now - when)}{place and f'; it is in {place}'}"
