"""The rights that docs/scale.md recommends are enough with Sentinel and in a Cluster, and no more than that."""

import contextlib
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
import redis
from redis.crc import key_slot
from redis_server import RedisServer
from redis_servers import is_primary, move, with_cluster, with_sentinel
from relay_kit import KEYS, bucket_for, edge, publishing
from waiting import eventually

from kuma_sd.testing import publication

PAGE = (Path(__file__).parents[3] / "docs/scale.md").read_text()

IN_A_CLUSTER = re.findall(r"`([+]cluster[^`]*)`", PAGE)[0].split()

NEVER = ["CLIENT PAUSE 1", "CLIENT KILL TYPE pubsub", "CLIENT NO-EVICT on", "CLIENT LIST", "MONITOR"]
NEVER += [
    "CLUSTER FAILOVER",
    "CLUSTER RESET",
    "CLUSTER FORGET x",
    "REPLICAOF NO ONE",
    "SHUTDOWN",
    "FLUSHALL",
    "ACL LIST",
]


def give_rights(servers: Iterable[RedisServer], *further: str) -> None:
    """Give both users what the page says."""
    for server in servers:
        for line in PAGE.splitlines():
            if line.startswith("ACL SETUSER"):
                assert server.cli("ACL", "SETUSER", *line.split()[2:], *further) == "OK"


def assert_harmless(server: RedisServer) -> None:
    """Raise if one of the users may do what stops others."""
    for user in ("publisher", "edge"):
        client = redis.Redis("127.0.0.1", server.port, username=user, password="PASSWORD")  # noqa: S106 (as the page says)
        with contextlib.closing(client):
            for command in NEVER:
                with pytest.raises(redis.exceptions.NoPermissionError):
                    client.execute_command(*command.split())


def as_user(user: str, url: str) -> str:
    return url.replace("://", f"://{user}:PASSWORD@")


def test_with_sentinel_also_after_a_failover(tmp_path: Path) -> None:
    with with_sentinel(tmp_path) as (primary, replicas, url):
        give_rights([primary, *replicas])
        with (
            publishing(as_user("publisher", url), lease=3.0, timeout=1.0) as output,
            edge(as_user("edge", url), relay_timeout=1.0) as reader,
        ):
            output.publish(publication("a", "b"))
            reader.wait_for("a", "b")
            assert_harmless(primary)
            primary.kill()
            eventually(lambda: any(map(is_primary, replicas)), "a replica was promoted")

            def published() -> bool:
                with contextlib.suppress(Exception):
                    output.publish(publication("a", "c"))
                    return True
                return False

            eventually(published, "the new primary takes what is published")
            reader.wait_for("a", "c")


def test_in_a_cluster_also_after_a_slot_moved(tmp_path: Path) -> None:
    with with_cluster(tmp_path) as nodes:
        give_rights(nodes, *IN_A_CLUSTER)
        url = f"redis+cluster://127.0.0.1:{nodes[0].port},127.0.0.1:{nodes[1].port}"
        shard = as_user("edge", f"{url}?shard={bucket_for('a')}&of=1024")
        with publishing(as_user("publisher", url)) as output, edge(as_user("edge", url)) as whole, edge(shard) as part:
            output.publish(publication("a", "b"))
            whole.wait_for("a", "b")
            part.wait_for("a")
            move(nodes, key_slot(KEYS.head(bucket_for("a")).encode()))
            output.publish(publication("b", "c"))
            whole.wait_for("b", "c")
            part.wait_for()
        for node in nodes:
            assert_harmless(node)
