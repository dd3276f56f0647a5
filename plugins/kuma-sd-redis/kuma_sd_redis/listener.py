"""Receive messages from one server, in a separate thread."""

import contextlib
import threading
import time

from redis.client import PubSub
from redis.exceptions import RedisError

from kuma_sd_redis.connection import RelayError
from kuma_sd_redis.failures import BROKEN_REPLY, explained
from kuma_sd_redis.inbox import Inbox
from kuma_sd_redis.layout import Keys

TICK = 1.0
"""Interval at which the listener checks the connection, in seconds."""


class Listener:
    """Puts the messages of one server into the inbox, and checks that the server still responds.

    Args:
        subscription: the subscription to read.
        awaited: the number of confirmations that come first.
        keys: the keys of the relay.
        inbox: the queue for received messages.
        timeout: the maximum time for a response of the server, in seconds.
    """

    def __init__(self, subscription: PubSub, awaited: int, keys: Keys, inbox: Inbox, timeout: float) -> None:
        self.last_response = 0.0
        self.received = 0
        self._subscription = subscription
        self._awaited = awaited
        self._keys = keys
        self._inbox = inbox
        self._timeout = timeout
        self._ready = threading.Event()
        self._closing = False

    def ready(self, timeout: float) -> bool:
        """Wait until the subscription holds, so that nothing that happens from then on is missed.

        Args:
            timeout: how long to wait, in seconds.
        """
        return self._ready.wait(timeout)

    def run(self) -> None:
        """Listen until closed, or until the server is gone."""
        pinged, began = False, time.time()
        try:
            while not self._closing:
                message = self._subscription.get_message(timeout=min(TICK, self._timeout))
                silence = time.time() - max(began, self.last_response)
                if message is not None:
                    self._take(message)
                    # Not before all subscriptions hold.
                    began, pinged = time.time(), False
                    self.last_response = began if self._ready.is_set() else 0.0
                elif pinged and silence > 2 * self._timeout:
                    self._inbox.fail(RelayError(f"no response from Redis for {silence:.0f} s"))
                    return
                elif silence > self._timeout and not pinged:
                    pinged = True
                    self._subscription.ping()
        # Cutting a connection from another thread shows in many ways.
        except (RedisError, OSError, *BROKEN_REPLY) as error:
            if not self._closing:
                self._inbox.fail(RelayError(explained(error)))
        finally:
            with contextlib.suppress(Exception):
                self._subscription.close()

    def close(self) -> None:
        """End run(), from any thread."""
        self._closing = True
        with contextlib.suppress(Exception):
            connection = self._subscription.connection
            if connection:
                connection.disconnect()

    def _take(self, message: dict[str, object]) -> None:
        kind, channel, data = message["type"], message["channel"], message["data"]
        if kind in ("subscribe", "psubscribe", "ssubscribe"):
            self._awaited -= 1
            if not self._awaited:
                self._ready.set()
        elif kind == "sunsubscribe":
            self._inbox.move()
        elif kind in ("message", "pmessage", "smessage") and isinstance(data, bytes) and isinstance(channel, bytes):
            self.received += len(data)
            bucket = self._keys.bucket(channel)
            if bucket is not None:
                self._inbox.put(bucket, data)
