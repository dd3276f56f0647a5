import contextlib
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from os_reasons import CONNECTION_REFUSED
from redis_server import RedisServer, free_port
from relay_kit import KEYS, bucket_for, publishing

from kuma_sd import ConfigError, Context, OutputError, Publication, parse_url
from kuma_sd.testing import OutputContract, group, publication
from kuma_sd_redis import OUTPUT
from kuma_sd_redis.layout import BUCKETS, Head, Keys, bucket_of, digest_of, field_of
from kuma_sd_redis.options import RedisOutputOptions


def head_of(server: RedisServer, bucket: int) -> Head:
    return Head.parse(server.cli("GET", KEYS.head(bucket)).encode())


def content_of(server: RedisServer, bucket: int) -> dict[str, bytes]:
    lines = server.cli("HGETALL", KEYS.groups(bucket)).splitlines()
    return {name: line.encode() for name, line in zip(lines[::2], lines[1::2], strict=True)}


def heads_of(server: RedisServer) -> list[str]:
    return server.cli("MGET", *map(KEYS.head, range(BUCKETS))).splitlines()


def lines_of(server: RedisServer) -> list[str]:
    every = "local all = {} for _, key in ipairs(redis.call('KEYS', '*:groups')) do "
    every += "for _, line in ipairs(redis.call('HVALS', key)) do table.insert(all, line) end end return all"
    return [line for line in server.cli("EVAL", every, 0).splitlines() if line]


class TestRedisOutput(OutputContract):
    plugin = OUTPUT

    @pytest.fixture(autouse=True)
    def _keep(self, server: RedisServer) -> None:
        self.server = server

    def options(self, directory: Path) -> RedisOutputOptions:
        del directory
        return RedisOutputOptions(url=parse_url(self.server.url))

    def broken(self, directory: Path) -> RedisOutputOptions:
        del directory
        return RedisOutputOptions(url=parse_url(f"redis://127.0.0.1:{free_port()}"))

    def published(self, options: RedisOutputOptions) -> list[Any]:
        del options
        return list(map(json.loads, lines_of(self.server)))


def test_one_change_costs_one_revision_of_onebucket_for(server: RedisServer) -> None:
    with publishing(server.url) as output:
        output.publish(publication(*(f"backend-{number}" for number in range(50))))
        changed = group("backend-7", service="other")
        bucket = bucket_of(field_of(changed.key))
        before = heads_of(server)
        output.publish(publication(*(f"backend-{number}" for number in range(50) if number != 7), changed))
        assert [number for number, head in enumerate(heads_of(server)) if before[number] != head] == [bucket]
        head = head_of(server, bucket)
        assert head.position.revision == 2
        assert head.position.digest == digest_of(content_of(server, bucket))
        assert server.cli("XLEN", KEYS.log(bucket)) == "1"
        assert len(server.cli("XRANGE", KEYS.log(bucket), "-", "+")) < 1000


def test_every_bucket_gets_a_head_also_an_empty_one(server: RedisServer) -> None:
    with publishing(server.url) as output:
        output.publish(publication("backend-01"))
        assert len(server.cli("KEYS", "*:head").splitlines()) == BUCKETS


def test_a_publisher_that_comes_back_writes_nothing_where_content_is_equal(server: RedisServer) -> None:
    targets = [f"backend-{number}" for number in range(50)]
    with publishing(server.url) as output:
        output.publish(publication(*targets))
    positions = [head_of(server, number).position for number in range(40)]
    with publishing(server.url) as output:
        output.publish(publication(*targets))
        assert [head_of(server, number).position for number in range(40)] == positions
        assert head_of(server, 0).token == 2
        output.publish(publication(*targets[1:]))
        bucket = bucket_of(field_of(group(targets[0]).key))
        assert head_of(server, bucket).position.revision == 2


def test_what_another_left_is_changed_by_a_delta_not_replaced(server: RedisServer) -> None:
    targets = [f"backend-{number}" for number in range(3000)]
    with publishing(server.url) as output:
        output.publish(publication(*targets))
    bucket = bucket_of(field_of(group(targets[0]).key))
    before = head_of(server, bucket)
    with publishing(server.url) as output:
        output.publish(publication(*targets[1:]))
        after = head_of(server, bucket)
        assert (after.position.epoch, after.position.revision) == (before.position.epoch, 2)
        assert after.position.digest == digest_of(content_of(server, bucket))


def test_a_bucket_that_fell_back_begins_a_new_epoch(server: RedisServer) -> None:
    with publishing(server.url) as output:
        output.publish(publication("backend-01"))
        bucket = bucket_of(field_of(group("backend-01").key))
        old_head, old_line = server.cli("GET", KEYS.head(bucket)), content_of(server, bucket)
        output.publish(publication(group("backend-01", service="other")))
        server.cli("SET", KEYS.head(bucket), old_head)
        ((name, line),) = old_line.items()
        server.cli("HSET", KEYS.groups(bucket), name, line.decode())
        output.publish(publication(group("backend-01", service="third")))
        head = head_of(server, bucket)
        assert head.position.epoch != Head.parse(old_head.encode()).position.epoch
        assert head.position.digest == digest_of(content_of(server, bucket))
        assert b'"third"' in content_of(server, bucket)[name]


def test_content_that_does_not_match_its_head_is_replaced(server: RedisServer) -> None:
    with publishing(server.url) as output:
        output.publish(publication("backend-01"))
    bucket = bucket_of(field_of(group("backend-01").key))
    server.cli("HSET", KEYS.groups(bucket), "/default/strange/0/0", "{}")
    with publishing(server.url) as output:
        output.publish(publication("backend-02", group("backend-01", service="other")))
        assert len(content_of(server, bucket)) == 1
        assert head_of(server, bucket).position.epoch.startswith("2.")


def test_a_large_publication_goes_in_bounded_batches(server: RedisServer) -> None:
    with publishing(server.url) as output:
        output.publish(publication(*(f"backend-{number}" for number in range(5000))))
        commands = server.cli("INFO", "commandstats")
        assert "cmdstat_evalsha" in commands
        assert len(lines_of(server)) == 5000


def test_the_log_keeps_no_more_bytes_than_it_may(server: RedisServer) -> None:
    with publishing(server.url, log_size=2000) as output:
        for number in range(20):
            output.publish(publication(group("backend-01", service=f"service-{number}")))
        bucket = bucket_of(field_of(group("backend-01").key))
        assert 1 <= int(server.cli("XLEN", KEYS.log(bucket))) <= 4


def test_two_relays_share_a_redis_by_their_prefixes(server: RedisServer) -> None:
    with publishing(server.url, prefix="one") as one, publishing(server.url, prefix="two") as two:
        one.publish(publication("backend-01"))
        two.publish(publication("backend-02"))
        assert "backend-01" in server.cli("HGETALL", Keys("one").groups(bucket_for("backend-01")))
        assert "backend-02" in server.cli("HGETALL", Keys("two").groups(bucket_for("backend-02")))


def test_an_unreachable_redis_is_one_line_without_the_password() -> None:
    options = RedisOutputOptions(url=parse_url(f"redis://me:hunter2@127.0.0.1:{free_port()}/2"))
    output = OUTPUT.open(options, Context("redis"))
    output.start()
    with contextlib.closing(output), pytest.raises(OutputError, match=CONNECTION_REFUSED) as raised:
        output.publish(publication("backend-01"))
    assert "hunter2" not in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://localhost", "begins with one of"),
        ("redis://", "names no host"),
        ("redis://a,b", "several servers"),
        ("redis://h/x", "number of a database"),
        ("redis+sentinel://h", "name of their primary"),
        ("redis://h?shard=1&of=2", "all shards"),
    ],
)
def test_a_wrong_address_is_refused_when_settings_are_checked(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        OUTPUT.open(RedisOutputOptions(url=parse_url(url)), Context("redis"))


def test_metrics_and_facts_say_how_it_is(server: RedisServer) -> None:
    context = Context("redis")
    output = OUTPUT.open(RedisOutputOptions(url=parse_url(server.url)), context)
    with contextlib.closing(output):
        output.start()
        output.publish(publication("backend-01"))
        output.publish(publication("backend-01", "backend-02", received=time.time() - 1))
        samples = {
            sample.name: sample.value
            for metric in context.contributions.collectors[0].collect()
            for sample in metric.samples
        }
        assert samples["kuma_sd_redis_leader"] == 1
        assert samples["kuma_sd_redis_epoch"] == 1
        assert samples["kuma_sd_redis_revision"] == BUCKETS + 1
        assert samples["kuma_sd_redis_reloads_total"] == BUCKETS
        assert samples["kuma_sd_redis_sent_bytes_total"] > 1000
        assert 1 <= samples["kuma_sd_redis_lag_seconds"] < 20
        assert context.contributions.reports[0]()["role"] == "leader"


def test_the_newest_publication_wins_while_another_is_written(server: RedisServer) -> None:
    with publishing(server.url) as output:
        publications: list[Publication] = [publication(f"backend-{number}") for number in range(8)]
        threads = [threading.Thread(target=output.publish, args=(published,)) for published in publications]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        output.publish(publications[3])
        assert len(lines_of(server)) == 1
