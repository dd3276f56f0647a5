"""Several Redis servers that belong together: replicas with a Sentinel, and a Cluster."""

import contextlib
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from redis_server import RedisServer, free_port, running
from waiting import eventually

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


@contextlib.contextmanager
def with_cluster(directory: Path) -> Iterator[list[RedisServer]]:
    """Run a Cluster of three."""
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port")
    nodes = [RedisServer(directory / f"node-{number}", *options, str(free_port())) for number in range(3)]
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


def is_primary(server: RedisServer) -> bool:
    """Tell whether a server is no replica; it is not known while Sentinel, which changes that, closes connections."""
    with contextlib.suppress(subprocess.CalledProcessError):
        return "role:master" in server.cli("INFO", "replication")
    return False


def _replicates(server: RedisServer) -> bool:
    return "master_link_status:up" in server.cli("INFO", "replication")


def move(nodes: list[RedisServer], slot: int) -> None:
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
