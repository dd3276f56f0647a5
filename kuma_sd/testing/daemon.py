"""Run the real daemon in a test: a process of its own, with every plugin that is installed."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

Event = Mapping[str, object]
"""A line of the log: its message, ``msg``, and its fields."""

LONG_SECONDS = 60.0
"""Maximum wait for an event, and for the end, in seconds; a busy machine needs several."""


class RunningDaemon:
    """A running daemon, whose log can be waited for.

    Args:
        process: the process; its stderr is the log, as JSON.
    """

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.events: list[Event] = []
        """The log so far."""
        self.process = process
        self._changed = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, args=(process.stderr,), daemon=True)
        self._reader.start()

    def wait_for(self, msg: str, **fields: object) -> Event:
        """Wait until the log has an event, and return it.

        Args:
            msg: its message.
            **fields: fields that it must have, with their values.

        Raises:
            AssertionError: the daemon ended before, or the event did not come in time.
        """
        wanted = {"msg": msg, **fields}.items()
        deadline = time.monotonic() + LONG_SECONDS
        with self._changed:
            while True:
                for event in self.events:
                    if wanted <= event.items():
                        return event
                log = "\n".join(map(str, self.events))
                assert not self._ended, f"the daemon ended before it said {dict(wanted)}:\n{log}"
                assert self._changed.wait(deadline - time.monotonic()), f"it never said {dict(wanted)}:\n{log}"

    def stop(self) -> int:
        """End it as systemd does, by SIGTERM, and return its exit status."""
        self.process.terminate()
        status = self.process.wait(LONG_SECONDS)
        self._reader.join(LONG_SECONDS)
        return status

    def _read(self, log: IO[str]) -> None:
        for line in log:
            self._add(_event(line))
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _add(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()


@contextlib.contextmanager
def daemon(directory: Path, *flags: str) -> Iterator[RunningDaemon]:
    """Run ``kuma-sd run`` while the block runs. It listens at no address.

    Args:
        directory: where its state and its control socket are.
        *flags: its settings, like ``--output=summary``; without ``--state-dir`` and ``--control-socket``.

    Raises:
        AssertionError: it did not end with status 0.
    """
    command = [
        *(sys.executable, "-m", "kuma_sd", "run", "--log-format=json", "--web-listen-address="),
        *(f"--state-dir={directory}/state", f"--control-socket={directory}/control", *flags),
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KUMA_SD_")}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:  # noqa: S603 (this program)
        running = RunningDaemon(process)
        try:
            yield running
        except BaseException:
            process.kill()
            raise
        status = running.stop()
    log = "\n".join(map(str, running.events))
    assert status == 0, f"the daemon ended with status {status}:\n{log}"


def _event(line: str) -> Event:
    try:
        return dict(json.loads(line))
    except ValueError:
        # A traceback, or the line of an expected error at the start.
        return {"msg": line.rstrip("\n")}
