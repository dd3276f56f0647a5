"""Sentinel and Cluster: fail-overs and moves in the middle of a storm."""

import contextlib
import itertools
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from background import in_background
from processes import eventually
from redis.crc import key_slot
from redis_server import RedisServer, free_port, running
from relay_kit import KEYS, Edge, bucket_for, edge, publishing

from kuma_sd import OutputError, Publication
from kuma_sd.testing import group, publication
from kuma_sd_redis.output import RedisOutput

SENTINEL = """
sentinel monitor mymaster 127.0.0.1 {port} 1
sentinel down-after-milliseconds mymaster 400
sentinel failover-timeout mymaster 2000
"""


@contextlib.contextmanager
def with_sentinel(directory: Path) -> Iterator[tuple[RedisServer, list[RedisServer], str]]:
    """Run a primary, two replicas and a Sentinel; yields these and the address to use."""
    primary = RedisServer(directory / "primary")
    replicas = [
        RedisServer(directory / f"replica-{number}", "--replicaof", f"127.0.0.1 {primary.port}") for number in range(2)
    ]
    (directory / "sentinel.conf").write_text(SENTINEL.format(port=primary.port))
    sentinel = RedisServer(directory / "sentinel", directory / "sentinel.conf", program="redis-sentinel")
    with running(primary, *replicas, sentinel):
        for replica in replicas:
            eventually(partial(_replicates, replica), "it replicates")
        eventually(lambda: "num-slaves\n2" in sentinel.cli("SENTINEL", "MASTER", "mymaster"), "Sentinel knows both")
        yield primary, replicas, f"redis+sentinel://127.0.0.1:{sentinel.port}/mymaster"


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
            eventually(lambda: any(map(_is_primary, replicas)), "a replica was promoted")
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
        epoch = reader.replica.positions[bucket_for("lost")].epoch
        primary.kill()
        eventually(lambda: any(map(_is_primary, replicas)), "a replica was promoted")
        reader.wait(lambda one: one.errors)

        def is_right() -> bool:
            position = reader.replica.positions[bucket_for("lost")]
            return reader.names == {"a", "lost"} and position.epoch != epoch

        eventually(is_right, "the edge has what the publisher has, in another epoch")
        assert any(_has(replica, "lost") and not _has(replica, "b") for replica in replicas)


def _is_primary(server: RedisServer) -> bool:
    return "role:master" in server.cli("INFO", "replication")


def _replicates(server: RedisServer) -> bool:
    return "master_link_status:up" in server.cli("INFO", "replication")


def _has(server: RedisServer, name: str) -> bool:
    return server.cli("HLEN", KEYS.groups(bucket_for(name))) == "1"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[list[RedisServer]]:
    """Run a Cluster of three."""
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port")
    nodes = [RedisServer(tmp_path / f"node-{number}", *options, str(free_port())) for number in range(3)]
    with running(*nodes):
        for number, node in enumerate(nodes):
            node.cli("CLUSTER", "ADDSLOTSRANGE", number * 16384 // 3, (number + 1) * 16384 // 3 - 1)
            node.cli("CONFIG", "SET", "cluster-announce-ip", "127.0.0.1")
            node.cli("CLUSTER", "MEET", "127.0.0.1", nodes[0].port, nodes[0]._arguments[-1])
        for node in nodes:
            eventually(partial(_is_ok, node, 3), "the Cluster is there")
        yield nodes


def _is_ok(node: RedisServer, count: int) -> bool:
    info = node.cli("CLUSTER", "INFO")
    return "cluster_state:ok" in info and f"cluster_known_nodes:{count}" in info and f"cluster_size:{count}" in info


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
                _move(cluster, slot)
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


def _move(nodes: list[RedisServer], slot: int) -> None:
    """Move a slot from the node that has it to the next one, as resharding does."""
    owner = next(node for node in nodes if slot in _slots_of(node))
    target = nodes[(nodes.index(owner) + 1) % 3]
    target.cli("CLUSTER", "SETSLOT", slot, "IMPORTING", owner.cli("CLUSTER", "MYID"))
    owner.cli("CLUSTER", "SETSLOT", slot, "MIGRATING", target.cli("CLUSTER", "MYID"))
    while keys := owner.cli("CLUSTER", "GETKEYSINSLOT", slot, 100).splitlines():
        owner.cli("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
    for node in (target, owner, *nodes):
        node.cli("CLUSTER", "SETSLOT", slot, "NODE", target.cli("CLUSTER", "MYID"))


def _slots_of(node: RedisServer) -> set[int]:
    me = next(line for line in node.cli("CLUSTER", "NODES").splitlines() if "myself" in line)
    ranges = [part.split("-") for part in me.split()[8:] if not part.startswith("[")]
    return {slot for first, *last in ranges for slot in range(int(first), int((last or [first])[0]) + 1)}
