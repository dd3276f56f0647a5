import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis_server import RedisServer, redis_server
from relay_kit import KEYS, bucket_for, edge, publishing
from waiting import eventually

from kuma_sd import OutputError, parse_url
from kuma_sd.testing import group, publication
from kuma_sd_redis.access import Access
from kuma_sd_redis.address import address_of
from kuma_sd_redis.bucket_writer import StaleError, Writer
from kuma_sd_redis.connection import Connection
from kuma_sd_redis.layout import BUCKETS, FormatError, Head
from kuma_sd_redis.options import RedisOutputOptions


@pytest.fixture
def connection(server: RedisServer) -> Iterator[Connection]:
    one = Connection(address_of(parse_url(server.url)), Access.of(RedisOutputOptions()))
    yield one
    one.close()


def heads(server: RedisServer) -> list[Head]:
    return [Head.parse(line.encode()) for line in server.cli("MGET", *map(KEYS.head, range(BUCKETS))).splitlines()]


def test_one_leads_and_the_others_are_warm(server: RedisServer) -> None:
    with publishing(server.url, lease=1.5) as first, edge(server.url) as reader:
        first.publish(publication("a"))
        with publishing(server.url, lease=1.5) as second:
            second.publish(publication("a", "b"))
            assert second._facts()["role"] == "standby"
            reader.wait_for("a")
            first.close()
            reader.wait_for("a", "b")
            assert second._facts()["role"] == "leader"


def test_who_has_nothing_to_publish_does_not_keep_the_lease_from_others(server: RedisServer) -> None:
    with publishing(server.url) as empty, publishing(server.url) as ready, edge(server.url) as reader:
        assert empty._facts()["role"] == "nothing to publish yet"
        ready.publish(publication("a"))
        reader.wait_for("a")
        assert ready._facts()["role"] == "leader"
        empty.publish(publication("a", "b"))
        assert empty._facts()["role"] == "standby"
        ready.close()
        reader.wait_for("a", "b")


def test_taking_over_writes_nothing_where_content_is_equal(server: RedisServer) -> None:
    names = [f"backend-{number}" for number in range(200)]
    with publishing(server.url, lease=1.5) as first:
        first.publish(publication(*names))
        with publishing(server.url, lease=1.5) as second:
            second.publish(publication(*names[:-1], group(names[-1], service="other")))
            before = heads(server)
            first.close()
            eventually(lambda: {head.token for head in heads(server)} == {2}, "the second's token is in all heads")
            changed = bucket_for(names[-1])
            eventually(lambda: heads(server)[changed].position.revision == 2, "what differs is written")
            after = heads(server)
    assert [index for index in range(BUCKETS) if before[index].position != after[index].position] == [changed]
    assert after[changed].position.epoch == before[changed].position.epoch


def test_a_lease_that_is_not_renewed_runs_out(server: RedisServer) -> None:
    server.cli("SET", KEYS.lease, "somebody/1/0123abcd", "PX", 700)
    with publishing(server.url) as output, edge(server.url) as reader:
        output.publish(publication("a"))
        assert output._facts()["leader"] == "somebody/1/0123abcd"
        reader.wait_for("a")


def test_a_stale_leader_writes_nowhere(server: RedisServer, connection: Connection) -> None:
    old, new = (Writer(connection, KEYS, leader, 2**15) for leader in ("old/1", "new/1"))
    old.write(publication("a"), 1)
    new.write(publication("a"), 2)
    before = server.cli("MGET", *map(KEYS.head, range(BUCKETS)))
    with pytest.raises(StaleError) as raised:
        old.write(publication("a", *(f"backend-{number}" for number in range(50))), 1)
    assert raised.value.token == 2
    with pytest.raises(StaleError):
        old.write(publication(), 1)
    assert server.cli("MGET", *map(KEYS.head, range(BUCKETS))) == before
    assert server.cli("HLEN", KEYS.groups(bucket_for("a"))) == "1"


def test_of_two_leaders_with_the_same_token_one_writes(connection: Connection) -> None:
    """A fail-over may lose a token that was given out."""
    one, other = (Writer(connection, KEYS, leader, 2**15) for leader in ("one/1", "other/1"))
    one.write(publication("a"), 1)
    with pytest.raises(StaleError):
        other.write(publication("b"), 1)


def test_a_revision_is_all_or_nothing(server: RedisServer, connection: Connection) -> None:
    writer = Writer(connection, KEYS, "one/1", 2**15)
    writer.write(publication("a"), 1)
    bucket = bucket_for("a")
    head, content = server.cli("GET", KEYS.head(bucket)), server.cli("HGETALL", KEYS.groups(bucket))
    server.cli("SET", KEYS.head(bucket), head[:-1] + "x")
    with pytest.raises(FormatError, match="a head in Redis is none"):
        writer.write(publication(group("a", service="other")), 1)
    assert server.cli("HGETALL", KEYS.groups(bucket)) == content


def rewrite_heads(server: RedisServer, beginning: str) -> None:
    """Let all heads begin in another way than with format 1 and token 1."""
    change = f"redis.call('SET', key, (string.gsub(redis.call('GET', key), '^1 1 ', {beginning}))"
    server.cli("EVAL", f"for _, key in ipairs(redis.call('KEYS', '*:head')) do {change} end", 0)


def test_a_counter_that_was_lost_is_made_up_for(server: RedisServer) -> None:
    with publishing(server.url) as first:
        first.publish(publication("a"))
    rewrite_heads(server, "'1 57 ')")
    server.cli("DEL", KEYS.token)
    with publishing(server.url) as second, edge(server.url) as reader:
        second.publish(publication("a", "b"))
        reader.wait_for("a", "b")
        assert {head.token for head in heads(server)} == {58}


def test_nothing_of_a_closed_publisher_goes_on(server: RedisServer) -> None:
    before = set(threading.enumerate())
    with publishing(server.url) as output:
        output.publish(publication("a"))
        assert len(set(threading.enumerate()) - before) == 2
    eventually(lambda: not set(threading.enumerate()) - before, "its threads have ended")
    assert server.cli("EXISTS", KEYS.lease) == "0"


@pytest.mark.parametrize("persistent", [True, False])
def test_after_a_crash_of_redis_everything_is_there_again(tmp_path: Path, persistent: bool) -> None:  # noqa: FBT001 (a parameter)
    with (
        redis_server(tmp_path, persistent=persistent) as server,
        publishing(server.url, lease=1.5) as output,
        edge(server.url) as reader,
    ):
        output.publish(publication("a"))
        reader.wait_for("a")
        server.kill()
        with pytest.raises(OutputError):
            output.publish(publication("a", "b"))
        server.start()
        reader.wait_for("a", "b")
        assert all(snapshot.assignments for snapshot in reader.snapshots)


def test_what_redis_lost_without_anybody_noticing_is_written_again(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kuma_sd_redis.output.LOOK_INTERVAL", 0.3)
    with publishing(server.url) as output:
        output.publish(publication("a"))
        server.cli("DEL", *(KEYS.head(bucket) for bucket in range(BUCKETS)))
        eventually(lambda: int(server.cli("EXISTS", KEYS.head(0))), "the heads are back")


def test_what_a_newer_version_left_is_replaced_by_whoever_has_the_lease(server: RedisServer) -> None:
    with publishing(server.url) as newer:
        newer.publish(publication("a"))
    rewrite_heads(server, "'2 9 ') .. ' more'")
    with edge(server.url) as reader, publishing(server.url) as older:
        reader.wait(lambda one: "this kuma-sd-redis reads format 1:" in "".join(one.errors))
        older.publish(publication("a", "b"))
        reader.wait_for("a", "b")
        assert {head.token for head in heads(server)} == {10}, "the newer one's token was respected"
