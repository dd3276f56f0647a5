"""Run many edges in one process; they use the full protocol, but store only heads, not the buckets' content."""

import json
import sys
import threading
import time

from kuma_sd import parse_url
from kuma_sd_redis.address import address_of
from kuma_sd_redis.connection import Connection
from kuma_sd_redis.inbox import Inbox
from kuma_sd_redis.layout import Head, Keys, Position, decode
from kuma_sd_redis.listener import Listener
from kuma_sd_redis.options import RedisOutputOptions

KEYS = Keys("kuma-sd")


class LightEdge:
    """Follows all buckets, and checks that each entry follows from the one before.

    Args:
        url: where the relay is.
    """

    def __init__(self, url: str) -> None:
        self._address = address_of(parse_url(url))
        self._connection = Connection(self._address, RedisOutputOptions())
        self._positions: dict[int, Position] = {}
        self.entries = 0
        self.looks = 0
        self.delays: list[float] = []
        self._inbox = Inbox()
        ((subscription, awaited),) = self._connection.subscribe(KEYS, self._address.buckets)
        self._listener = Listener(subscription, awaited, KEYS, self._inbox, 5.0)
        threading.Thread(target=self._listener.run, daemon=True).start()
        assert self._listener.ready(30.0)
        self._look(list(self._address.buckets))
        self.looks = 0
        self._before = self._connection.received + self._listener.received

    @property
    def received(self) -> int:
        """How many bytes came since it was there, without what the protocol adds."""
        return self._connection.received + self._listener.received - self._before

    def step(self, timeout: float = 0.0) -> None:
        """Take what came, or what comes within so many seconds."""
        self._inbox.wait(timeout)
        news = self._inbox.take()
        assert not news.error, news.error
        doubtful = sorted(number for number, some in news.entries.items() if not self._follow(number, some))
        if doubtful:
            self._look(doubtful)

    def _follow(self, number: int, some: list[bytes]) -> bool:
        for entry in map(decode, some):
            position = self._positions[number]
            if not entry.before or int(entry.before, 16) != position.digest:
                return False
            self._positions[number] = Position(entry.epoch, entry.revision, int(entry.after, 16))
            self.entries += 1
            self.delays.append(time.time() - entry.time)
        return True

    def _look(self, numbers: list[int]) -> None:
        self.looks += len(numbers)
        heads = self._connection.run([("GET", KEYS.head(number)) for number in numbers])
        self._positions.update((number, Head.parse(head).position) for number, head in zip(numbers, heads, strict=True))


def main(url: str, count: int) -> None:
    """Follow until stdin ends, and tell what came since the first line on it."""
    edges = [LightEdge(url) for _ in range(count)]
    print("ready", flush=True)
    ended = threading.Event()
    before: list[tuple[int, int, int]] = []

    def obey() -> None:
        sys.stdin.readline()
        before.extend((edge.received, edge.entries, edge.looks) for edge in edges)
        sys.stdin.read()
        ended.set()

    threading.Thread(target=obey, daemon=True).start()
    while not ended.wait(0.2):
        for edge in edges:
            edge.step()
    for edge in edges:
        edge.step()
    after = [(edge.received, edge.entries, edge.looks) for edge in edges]
    print(json.dumps([[new - old for new, old in zip(*pair, strict=True)] for pair in zip(after, before, strict=True)]))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
