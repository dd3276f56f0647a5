"""Notify systemd of the daemon's state: ready, reloading, stopping, alive (the protocol of sd_notify(3))."""

import os
import socket
import time
from collections.abc import Mapping

from kuma_sd.core.logger import Logger
from kuma_sd.system.log_format import escape

_log = Logger(__name__)

SEND_TIMEOUT = 1.0
"""Timeout for sending a message to systemd, in seconds."""


class Notifier:
    """Sends the daemon's state to systemd; does nothing if systemd did not start the process.

    Args:
        environment: the environment variables.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        # Other address families (such as vsock in a virtual machine) are not used for local services.
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = address.replace("@", "\0", 1) if address.startswith(("/", "@")) else ""
        self._failing = False
        self.watchdog_interval = _watchdog_interval(environment) if self._address else None
        """Interval of the calls of `alive`, in seconds; None without a watchdog."""

    def ready(self, status: str) -> None:
        """Report that the start or the reload is complete."""
        self._send("READY=1", _status(status))

    def reloading(self) -> None:
        """Report that a reload begins; `ready` must follow, whether it succeeds or not."""
        # systemd compares the time with its own clock, to match this reload with its request.
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """Report that the daemon is stopping."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Set the status line of ``systemctl status``."""
        self._send(_status(text))

    def alive(self) -> None:
        """Report that the daemon is alive; without it for twice the interval, systemd restarts the daemon."""
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
                _log.warning("cannot notify systemd of the daemon's state; retrying with each message", reason=error)
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
    # Half of the watchdog timeout, as sd_watchdog_enabled(3) recommends.
    return int(microseconds) / 2_000_000
