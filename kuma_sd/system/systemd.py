"""Telling systemd how the daemon is: ready, reloading, stopping, alive (sd_notify(3), by hand)."""

import os
import socket
import time
from collections.abc import Mapping

from kuma_sd.core.logger import Logger
from kuma_sd.system.log_format import escape

_log = Logger(__name__)

SEND_TIMEOUT = 1.0
"""How long systemd may take to take a message, in seconds."""


class Notifier:
    """Sends the daemon's state to systemd; does nothing when it was not started by systemd.

    Args:
        environment: the environment variables.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        # An address of another kind, as in a virtual machine, is nothing that a local service gets.
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = address.replace("@", "\0", 1) if address.startswith(("/", "@")) else ""
        self._failing = False
        self.watchdog_interval = _watchdog_interval(environment) if self._address else None
        """How often to call `alive`, in seconds; None if nobody waits for it."""

    def ready(self, status: str) -> None:
        """Say that starting, or reloading, is over."""
        self._send("READY=1", _status(status))

    def reloading(self) -> None:
        """Say that settings are read again; `ready` must follow, whether they were good or not."""
        # systemd compares this with its own clock, to be sure that this reload is the one it asked for.
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """Say that the end has begun."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Say in one line what ``systemctl status`` shows."""
        self._send(_status(text))

    def alive(self) -> None:
        """Say that all is well; when this does not come for twice the interval, systemd restarts the daemon."""
        self._send("WATCHDOG=1")

    def _send(self, *assignments: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
                connection.settimeout(SEND_TIMEOUT)
                connection.sendto("\n".join(assignments).encode(), self._address)
        except OSError as error:
            if not self._failing:
                _log.warning("systemd cannot be told how the daemon is; trying again with each message", reason=error)
            self._failing = True
        else:
            self._failing = False


def _status(text: str) -> str:
    return f"STATUS={escape(text)}"


def _watchdog_interval(environment: Mapping[str, str]) -> float | None:
    microseconds = environment.get("WATCHDOG_USEC", "")
    meant = environment.get("WATCHDOG_PID", str(os.getpid()))
    if meant != str(os.getpid()) or not microseconds.isdecimal() or int(microseconds) == 0:
        return None
    # Half of what it waits for, as sd_watchdog_enabled(3) recommends.
    return int(microseconds) / 2_000_000
