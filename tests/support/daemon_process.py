"""A daemon as a process of its own, started as a user would."""

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from processes import Process


@contextlib.contextmanager
def kuma_sd(*arguments: str | Path, **environment: str) -> Iterator[Process]:
    """Run ``kuma-sd`` as a process of its own; it is killed at the end if it still runs.

    Its state is forgotten with it, unless the arguments or the environment say where to keep it. It listens nowhere,
    unless they say where.
    """
    with tempfile.TemporaryDirectory() as directory:
        own = {"KUMA_SD_STATE_DIR": f"{directory}/state", "KUMA_SD_CONTROL_SOCKET": f"{directory}/control.sock"}
        own["KUMA_SD_WEB_LISTEN_ADDRESS"] = ""
        process = Process(sys.executable, "-m", "kuma_sd", *arguments, **(own | environment))
        try:
            yield process
        finally:
            process.kill()
