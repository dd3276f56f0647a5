"""Sentinel and Cluster: fail-overs and moves in the middle of a storm."""

import contextlib
import itertools
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from background import in_background
from redis.crc import key_slot
from redis_server import RedisServer
from redis_servers import is_primary, move, with_cluster, with_sentinel
from relay_kit import KEYS, Edge, bucket_for, edge, publishing
from waiting import eventually

from kuma_sd import OutputError, Publication
from kuma_sd.testing import group, publication
from kuma_sd_redis.output import RedisOutput


class Storm:
    """Publishes changes all the time, and again what failed, as the daemon does.

    Args:
        output: where to.
    """

    def __init__(self, output: RedisOutput) -> None:
        self.newest: Publication = publication()
        self.failures = 0
        self.versions = 0
        self._output = output
        self._closing = threading.Event()

    def run(self) -> None:
        """Publish until closed, and the last one until it worked."""
        for version in itertools.count(1):
            if self._closing.is_set():
                break
            some = (group(f"web-{number}", service=f"v{version}") for number in range(version % 7))
            self.newest = publication(*(f"backend-{number:03}" for number in range(200)), *some)
            self.versions = version
            self._publish()
            self._closing.wait(0.02)

    def close(self) -> None:
        """End run()."""
        self._closing.set()

    def is_at(self, one: Edge) -> bool:
        """Tell whether an edge has what was published last."""
        lines = [assignment.data for assignment in one.snapshots[-1].assignments] if one.snapshots else []
        return lines == list(self.newest.lines)

    def _publish(self) -> None:
        with contextlib.suppress(OutputError):
            self._output.publish(self.newest)
            return
        self.failures += 1


@contextlib.contextmanager
def storm(output: RedisOutput) -> Iterator[Storm]:
    one = Storm(output)
    with in_background(one.run, one.close):
        yield one


def goes_on(one: Storm, count: int = 20) -> None:
    """Wait until so many more versions were tried."""
    until = one.versions + count
    eventually(lambda: one.versions >= until, "the storm goes on")


def test_a_failover_by_sentinel_in_the_middle_of_a_storm(tmp_path: Path) -> None:
    with (
        with_sentinel(tmp_path) as (primary, replicas, url),
        publishing(url, lease=3.0, timeout=1.0) as output,
        edge(url, relay_timeout=1.0) as one,
        edge(url) as other,
    ):
        with storm(output) as changes:
            one.wait(lambda reader: reader.names)
            primary.kill()
            eventually(lambda: any(map(is_primary, replicas)), "a replica was promoted")
            before = len(one.snapshots)
            one.wait(lambda reader: len(reader.snapshots) > before + 1)
        for reader in (one, other):
            reader.wait(changes.is_at)
            # Nothing was taken away that was there all the time.
            assert all(len(snapshot.assignments) >= 200 for snapshot in reader.snapshots)


def test_a_failover_that_loses_writes_begins_new_epochs(tmp_path: Path) -> None:
    with (
        with_sentinel(tmp_path) as (primary, replicas, url),
        publishing(url, lease=3.0, timeout=1.0) as output,
        edge(url, relay_timeout=1.0) as reader,
    ):
        output.publish(publication("a", "b"))
        reader.wait_for("a", "b")
        eventually(lambda: all(_has(replica, "b") for replica in replicas), "both replicas have all")
        for replica in replicas:
            replica.cli("CONFIG", "SET", "masteruser", "nobody")
            replica.cli("CONFIG", "SET", "masterauth", "wrong")
        primary.cli("CLIENT", "KILL", "TYPE", "replica")
        output.publish(publication("a", "lost"))
        reader.wait_for("a", "lost")
        epoch = reader.buckets.positions[bucket_for("lost")].epoch
        primary.kill()
        eventually(lambda: any(map(is_primary, replicas)), "a replica was promoted")
        reader.wait(lambda one: one.errors)

        def is_right() -> bool:
            position = reader.buckets.positions[bucket_for("lost")]
            return reader.names == {"a", "lost"} and position.epoch != epoch

        eventually(is_right, "the edge has what the publisher has, in another epoch")
        assert any(_has(replica, "lost") and not _has(replica, "b") for replica in replicas)


def _has(server: RedisServer, name: str) -> bool:
    return server.cli("HLEN", KEYS.groups(bucket_for(name))) == "1"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[list[RedisServer]]:
    with with_cluster(tmp_path) as nodes:
        yield nodes


def test_a_slot_moves_away_in_the_middle_of_a_storm(
    cluster: list[RedisServer], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    url = f"redis+cluster://127.0.0.1:{cluster[0].port},127.0.0.1:{cluster[1].port}"
    with publishing(url) as output, edge(url) as whole, edge(f"{url}?shard={bucket_for('web-0')}&of=1024") as part:
        with storm(output) as changes:
            whole.wait(lambda reader: reader.names)
            part.wait(lambda reader: reader.names == {"web-0"})
            slots = sorted({key_slot(KEYS.head(bucket_for(f"web-{number}")).encode()) for number in range(6)})
            for slot in slots:
                move(cluster, slot)
            goes_on(changes)
        whole.wait(changes.is_at)
        part.wait(lambda reader: reader.names <= {"web-0"} and _in(changes, "web-0") == _in(reader, "web-0"))
        assert not whole.errors
        assert all(len(snapshot.assignments) >= 200 for snapshot in whole.snapshots)
        assert "buckets moved within the Cluster" in caplog.text
        # After the storm a single change comes by notification, also from where a slot went.
        for number in range(6):
            last = f"last-{number}"
            output.publish(publication(*changes.newest.groups, group(last)))
            whole.wait(partial(_holds, last))


def _holds(name: str, reader: Edge) -> bool:
    return name in reader.names


def _in(where: Storm | Edge, name: str) -> list[bytes]:
    lines = (
        where.newest.lines
        if isinstance(where, Storm)
        else [assignment.data for assignment in where.snapshots[-1].assignments]
    )
    return [line for line in lines if f'"{name}"'.encode() in line]
