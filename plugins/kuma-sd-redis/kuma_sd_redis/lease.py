"""Obtain the lease, which decides which of several publishers writes."""

import os
import re
import secrets
import socket
import threading
import time

from kuma_sd import Logger
from kuma_sd_redis.connection import Connection, RelayError, Word
from kuma_sd_redis.layout import Keys
from kuma_sd_redis.scripts import LEASE, RELEASE

_IDENTITY = re.compile(rb"[0-9A-Za-z.-]{1,253}/[0-9]{1,10}/[0-9a-f]{8}")


def identity() -> str:
    """Return a unique name for this publisher: host, process id, and a unique suffix."""
    host = re.sub("[^0-9A-Za-z.-]", "-", socket.gethostname())
    return f"{host}/{os.getpid()}/{secrets.token_hex(4)}"


def shown_identity(holder: bytes | None) -> str:
    """Return the name of a publisher that Redis sent; empty if there is none, ``unknown`` if it has another form."""
    if not holder:
        return ""
    return holder.decode() if _IDENTITY.fullmatch(holder) else "unknown"


class Lease:
    """Takes the lease when it is free, and renews it, in its own thread.

    Each lease comes with a fencing token, greater than all before, which Redis compares at each write, since a local
    clock proves nothing there.

    Args:
        log: the log of this publisher.
        connection: the connection to Redis; used only by this object.
        keys: the keys of the relay.
        duration: how long the lease lasts without being renewed, in seconds.
    """

    def __init__(self, log: Logger, connection: Connection, keys: Keys, duration: float) -> None:
        self.identity = identity()
        self.holder = ""
        self.failing = ""
        self.token = 0
        self.changed = threading.Event()
        """Set when it was taken, or there is another reason to look at once; who waits clears it."""
        self._log = log
        self._connection = connection
        self._keys = keys
        self._duration = duration
        self._until = 0.0
        self._floor = 0
        self._decided = threading.Event()
        self._again = threading.Event()
        self._closing = False
        self._leading: bool | None = None

    @property
    def held(self) -> bool:
        """Whether it is held now, by our clock."""
        return time.monotonic() < self._until

    def decided(self, timeout: float) -> bool:
        """Wait until it is known whether the lease was obtained.

        Args:
            timeout: the maximum wait, in seconds.
        """
        return self._decided.wait(timeout)

    def outrank(self, token: int) -> None:
        """Get a token greater than one that was seen, if the lease is still ours; if not, this finds out."""
        self._floor = max(self._floor, token)
        self._until = 0.0
        self._again.set()

    def run(self) -> None:
        """Take and renew the lease until closed, then release it."""
        while not self._closing:
            wait = self._attempt()
            self._decided.set()
            self._again.wait(wait)
            self._again.clear()
        if self.held:
            self._give_back()
        self._until = 0.0
        self._connection.close()

    def close(self) -> None:
        """End run(); called from any thread."""
        self._closing = True
        self._again.set()
        # Wake all waiting threads.
        self._decided.set()
        self.changed.set()

    def _attempt(self) -> float:
        """Request the lease once; returns the wait until the next request."""
        asked = time.monotonic()
        arguments: list[Word] = [self.identity, int(self._duration * 1000), self.token, self._floor]
        try:
            with self._connection.reading():
                ((token, holder, left),) = self._connection.evaluate(
                    LEASE, [([self._keys.lease, self._keys.token], arguments)]
                )
                self.holder = shown_identity(holder)
                token, left = int(token), int(left)
        except RelayError as error:
            self._failed(str(error))
            return min(1.0, self._duration / 6)
        undisturbed = self.held and not self.failing
        self.failing = ""
        if not token:
            self._until = 0.0
            self._say(leading=False)
            # It may run out earlier than we would look again.
            return float(min(self._duration / 3, max(0, left) / 1000 + 0.05))
        # From when it was asked for: the answer may have been long under way.
        self._until = asked + self._duration
        same = token == self.token
        self.token = token
        self._say(leading=True)
        if not (same and undisturbed):
            self.changed.set()
        return self._duration / 3

    def _say(self, *, leading: bool) -> None:
        if leading != self._leading:
            if leading:
                self._log.info("leads from now on", token=self.token)
            else:
                self._log.info("stands by while another publisher leads", leader=self.holder)
        self._leading = leading

    def _failed(self, why: str) -> None:
        if not self.failing:
            self._log.warning("the lease cannot be renewed; trying again, what it published stays", reason=why)
        self.failing = why

    def _give_back(self) -> None:
        try:
            self._connection.evaluate(RELEASE, [([self._keys.lease], [self.identity])])
        except RelayError as error:
            self._log.info("the lease cannot be released, and will expire", reason=error)
