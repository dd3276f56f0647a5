"""Both ends of a relay, for tests."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from background import in_background
from waiting import PATIENCE

from kuma_sd import Context, Snapshot, parse_url
from kuma_sd.testing import group
from kuma_sd_redis import OUTPUT, SOURCE
from kuma_sd_redis.bucket_reader import BucketReader
from kuma_sd_redis.layout import Keys, bucket_of, field_of
from kuma_sd_redis.options import RedisOutputOptions, RedisSourceOptions
from kuma_sd_redis.output import RedisOutput
from kuma_sd_redis.source import RedisSource

KEYS = Keys("kuma-sd")

QUICK: dict[str, Any] = {"relay_jitter": 0.0}


def bucket_for(name: str) -> int:
    """Return the bucket of a default group."""
    return bucket_of(field_of(group(name).key))


@contextlib.contextmanager
def publishing(url: str, **options: Any) -> Iterator[RedisOutput]:
    """Open and start a publisher while the block runs."""
    output = OUTPUT.open(RedisOutputOptions(url=parse_url(url), **options), Context("redis"))
    assert isinstance(output, RedisOutput)
    with contextlib.closing(output):
        output.start()
        yield output


class Edge:
    """Iterates over a source as the daemon does, in a thread, and keeps what came.

    Args:
        source: what to iterate over.
    """

    def __init__(self, source: RedisSource) -> None:
        self.source = source
        self.snapshots: list[Snapshot] = []
        self.errors: list[str] = []
        self._changed = threading.Condition()
        self._closing = threading.Event()

    @property
    def buckets(self) -> BucketReader:
        """What it has of the relay."""
        return self.source._buckets

    @property
    def facts(self) -> dict[str, str]:
        """What it tells of itself."""
        return dict(self.source._facts())

    @property
    def names(self) -> set[str]:
        """The dataplanes in the newest snapshot."""
        assignments = self.snapshots[-1].assignments if self.snapshots else ()
        return {assignment.key.name.split("/")[1] for assignment in assignments}

    def run(self) -> None:
        """Iterate again and again until closed."""
        while not self._closing.is_set():
            try:
                for snapshot in self.source:
                    with self._changed:
                        self.snapshots.append(snapshot)
                        self._changed.notify_all()
            except Exception as error:  # noqa: BLE001 (whatever it is, a test looks at it)
                with self._changed:
                    self.errors.append(str(error))
                    self._changed.notify_all()
            self._closing.wait(0.1)

    def close(self) -> None:
        """End run()."""
        self._closing.set()
        self.source.close()

    def wait(self, condition: Callable[["Edge"], object]) -> None:
        """Wait until a condition on what came holds."""
        with self._changed:
            held = self._changed.wait_for(lambda: condition(self), PATIENCE)
        assert held, f"never came true; {len(self.snapshots)} snapshots, errors {self.errors[-3:]}"

    def wait_for(self, *names: str) -> None:
        """Wait until just these dataplanes are there."""
        self.wait(lambda edge: edge.snapshots and edge.names == set(names))


@contextlib.contextmanager
def edge(url: str, name: str = "", **options: Any) -> Iterator[Edge]:
    """Run an edge while the block runs."""
    source = SOURCE.open(RedisSourceOptions(**{**QUICK, **options}), Context(name, address=parse_url(url)))
    assert isinstance(source, RedisSource)
    one = Edge(source)
    closed: list[float] = []

    def close() -> None:
        closed.append(time.monotonic())
        one.close()

    with in_background(one.run, close):
        yield one
    assert time.monotonic() - closed[0] < 1.0, "close() did not end the iteration at once"
