"""The output ``redis``: publish into the relay, or stand by while another publisher does."""

import threading
import time
from collections.abc import Mapping

from kuma_sd import ConfigError, Context, HelperThread, Output, OutputError, Publication
from kuma_sd_redis.access import Access
from kuma_sd_redis.address import address_of
from kuma_sd_redis.bucket_writer import StaleError, Writer
from kuma_sd_redis.connection import Connection, RelayError
from kuma_sd_redis.layout import FormatError, Keys
from kuma_sd_redis.lease import Lease
from kuma_sd_redis.meters import Reading, meters
from kuma_sd_redis.options import RedisOutputOptions

LOOK_INTERVAL = 5.0
"""Interval at which the leader checks whether Redis still has what was written, in seconds."""

RETRY_INTERVAL = 1.0
"""Wait before a failed check is retried, in seconds."""


class RedisOutput(Output):
    """Publishes into Redis while it has the lease; otherwise it keeps the newest publication, and counts as ready.

    Args:
        options: the options of the output.
        context: the interface to the daemon.

    Raises:
        ConfigError: the options cannot be used.
    """

    def __init__(self, options: RedisOutputOptions, context: Context) -> None:
        self._address = address_of(options.url)
        if self._address.of > 1:
            raise ConfigError("a publisher publishes all shards: remove shard and of from url")
        keys = Keys(options.prefix)
        self._title = context.title
        self._log = context.log
        self._timeout = options.timeout
        # Two, since a large publication must not keep the lease from being renewed.
        self._connections = [Connection(self._address, Access.of(options)) for _ in range(2)]
        self._lease = Lease(context.log, self._connections[0], keys, options.lease)
        self._writer = Writer(self._connections[1], keys, self._lease.identity, options.log_size)
        self._writing = threading.Lock()
        self._closing = threading.Event()
        self._newest: Publication | None = None
        self._lag: float | None = None
        self._failing = ""
        self._threads: list[threading.Thread] = []
        context.register(meters("output", context.name, self._read))
        context.report(self._facts)

    def start(self) -> None:
        """Do nothing yet: a publisher without a publication must not take the lease from one that has one."""

    def publish(self, publication: Publication) -> None:
        """Write a publication to Redis if this publisher leads.

        Raises:
            OutputError: Redis cannot be reached, or a command failed.
        """
        self._newest = publication
        if not self._threads and not self._closing.is_set():
            self._begin()
        if not self._lease.decided(2 * self._timeout + 1):
            raise OutputError(f"Redis at {self._address} does not answer; see whether it can be reached from here")
        if self._lease.held:
            try:
                self._write()
            except (RelayError, FormatError) as error:
                # The daemon backs off for up to half a minute; the other thread tries again every second.
                self._lease.changed.set()
                raise OutputError(str(error)) from error
        elif self._lease.failing:
            raise OutputError(self._lease.failing)

    def close(self) -> None:
        """Give the lease back. What is published stays."""
        self._closing.set()
        self._lease.close()
        deadline = time.monotonic() + 0.3
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        for connection in self._connections:
            connection.close()

    def _begin(self) -> None:
        """Begin to request the lease; Redis may be unreachable at first."""
        for what, run in (("lease", self._lease.run), ("relay", self._run)):
            # What poses as Redis may answer anything.
            thread = HelperThread(f"output {self._title} {what}", run, self._closing)
            self._threads.append(thread)
            thread.start()

    def _run(self) -> None:
        """Take over when the lease is obtained, and check what was written, until closed."""
        wait = LOOK_INTERVAL
        while not self._closing.is_set():
            self._lease.changed.wait(wait)
            self._lease.changed.clear()
            wait = LOOK_INTERVAL
            if self._closing.is_set() or not self._lease.held or not self._newest:
                continue
            try:
                self._write(tend=True)
                self._failing = ""
            except (RelayError, FormatError) as error:
                wait = RETRY_INTERVAL
                self._failed(str(error))

    def _write(self, *, tend: bool = False) -> None:
        with self._writing:
            # The newest publication, which may have come while this thread waited for the other.
            newest, token = self._newest, self._lease.token
            assert newest
            before = self._writer.published
            # A publication at the start or a takeover may be old although it was not delayed here.
            timely = token == self._writer.token and before is not None and before is not newest
            try:
                with self._connections[1].reading():
                    (self._writer.tend if tend else self._writer.write)(newest, token)
            except StaleError as error:
                self._log.warning("a write was refused: another publisher has a newer token", token=error.token)
                self._lease.outrank(error.token)
            else:
                self._lag = time.time() - newest.received if timely else self._lag

    def _failed(self, why: str) -> None:
        if not self._failing and not self._closing.is_set():
            self._log.warning("publishing failed; trying again, what it published stays", reason=why)
        self._failing = why

    def _read(self) -> Reading:
        positions = list(self._writer.positions.values())
        sent, received = (
            sum(connection.sent for connection in self._connections),
            sum(connection.received for connection in self._connections),
        )
        return Reading(positions, self._lag, sent, received, self._writer.replaced, self._lease.held)

    def _role(self) -> str:
        if not self._newest:
            return "nothing to publish yet"
        if self._lease.held:
            return "leader"
        return f"cannot reach Redis: {self._lease.failing}" if self._lease.failing else "standby"

    def _facts(self) -> Mapping[str, str]:
        reading = self._read()
        lease = self._lease
        return {
            "relay": str(self._address),
            "role": self._role(),
            "leader": lease.holder or "unknown",
            "epoch": str(reading.epoch),
            "revision": str(reading.revision),
        }
