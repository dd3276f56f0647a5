import contextlib
import signal
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from msgspec.structs import replace
from redis_server import RedisServer
from relay_kit import KEYS, bucket_for, edge, publishing
from waiting import eventually

from kuma_sd import Key, Publication, Target, TargetGroup
from kuma_sd.testing import group, publication
from kuma_sd_redis.layout import BUCKETS, Head, Position, bucket_of, field_of
from kuma_sd_redis.scripts import APPLY, Script


def fleet(count: int, *more: str) -> Publication:
    return publication(*(f"backend-{number:04}" for number in range(count)), *more)


def named(control_plane: str, name: str) -> TargetGroup:
    return group(name, control_plane=control_plane, labels={"control_plane": control_plane})


def test_what_is_published_arrives_as_assignments_with_the_labels_of_the_groups(server: RedisServer) -> None:
    published = group("backend-01")
    with publishing(server.url) as output, edge(server.url, "relay") as reader:
        output.publish(publication(published))
        reader.wait_for("backend-01")
        (one,) = reader.snapshots[-1].assignments
        assert one.key == Key("relay", "default", "default/backend-01/0/0", 0)
        target = one.read()
        assert target.labels == published.labels | {"__address__": published.targets[0]}
        assert replace(target, labels={}) == Target("", "", "", "", "", "", "", {})
        assert reader.snapshots[-1].complete


def test_a_control_plane_that_gets_another_name_changes_its_targets_and_no_key(server: RedisServer) -> None:
    names = [f"backend-{number}" for number in range(20)]
    with publishing(server.url) as output, edge(server.url) as reader:
        output.publish(publication(*(named("east", name) for name in names)))
        reader.wait_for(*names)
        keys = [entry.key for entry in reader.snapshots[-1].assignments]
        output.publish(publication(*(named("west", name) for name in names)))
        reader.wait(lambda one: all(b"west" in entry.data for entry in one.snapshots[-1].assignments))
        # Never were there two of one, nor one less.
        assert [entry.key for entry in reader.snapshots[-1].assignments] == keys
        assert {len(snapshot.assignments) for snapshot in reader.snapshots if snapshot.assignments} == {len(names)}


def test_targets_of_equal_names_in_two_control_planes_are_two(server: RedisServer) -> None:
    with publishing(server.url) as output, edge(server.url) as reader:
        output.publish(publication(named("east", "a"), named("west", "a")))
        reader.wait(lambda one: one.snapshots and len(one.snapshots[-1].assignments) == 2)
        assert [entry.key.ordinal for entry in reader.snapshots[-1].assignments] == [0, 1]
        output.publish(publication(named("west", "a")))
        reader.wait(lambda one: len(one.snapshots[-1].assignments) == 1)
        assert b"west" in reader.snapshots[-1].assignments[0].data


def test_a_change_arrives_by_notification_and_the_rest_stays_the_same_objects(server: RedisServer) -> None:
    with publishing(server.url) as output, edge(server.url, relay_look_interval=600.0) as reader:
        output.publish(fleet(500))
        reader.wait(lambda one: len(one.names) == 500)
        before = {id(assignment) for assignment in reader.snapshots[-1].assignments}
        output.publish(fleet(500, "web"))
        reader.wait(lambda one: len(one.names) == 501)
        fresh = [entry for entry in reader.snapshots[-1].assignments if id(entry) not in before]
        assert [item.key.name for item in fresh] == ["default/web/0/0"]
        keys = [entry.key for entry in reader.snapshots[-1].assignments]
        assert keys == sorted(keys)


def test_additions_changes_and_removals_arrive(server: RedisServer) -> None:
    with publishing(server.url) as output, edge(server.url) as reader:
        output.publish(publication("a", "b", "c"))
        reader.wait_for("a", "b", "c")
        output.publish(publication("a", group("b", service="other"), "d"))
        reader.wait_for("a", "b", "d")
        (changed,) = [entry for entry in reader.snapshots[-1].assignments if "/b/" in entry.key.name]
        assert changed.read().labels["service"] == "other"
        output.publish(publication())
        reader.wait(lambda one: not one.names)


def test_before_anything_was_published_there_is_no_snapshot(server: RedisServer) -> None:
    with edge(server.url) as reader, publishing(server.url) as output:
        output.publish(publication("backend-01"))
        reader.wait_for("backend-01")
        assert len(reader.snapshots[0].assignments) == 1


def test_many_groups_are_read_in_parts(server: RedisServer) -> None:
    # So many that a bucket of the one shard is scanned in several parts.
    with publishing(server.url) as output:
        output.publish(fleet(4000))
        with edge(server.url) as reader:
            reader.wait(lambda one: len(one.names) == 4000)


@pytest.mark.parametrize("of", [3, 100, 1024])
def test_shards_hold_their_buckets_and_together_everything(server: RedisServer, of: int) -> None:
    names = {f"backend-{number:04}" for number in range(300)}
    with publishing(server.url) as output:
        output.publish(publication(*names))
        with edge(f"{server.url}?shard=2&of={of}") as reader:
            expected = {name for name in names if bucket_for(name) % of == 2}
            reader.wait(lambda one: one.snapshots and one.names == expected)
            output.publish(publication(*sorted(names)[1:], "a", "b", "c", "d"))
            names = {*sorted(names)[1:], "a", "b", "c", "d"}
            expected = {name for name in names if bucket_for(name) % of == 2}
            reader.wait(lambda one: one.names == expected)


def test_a_lost_notification_loses_no_change(server: RedisServer) -> None:
    with publishing(server.url) as output, edge(server.url, relay_look_interval=0.3) as reader:
        output.publish(publication("a", "b"))
        reader.wait_for("a", "b")
        with _deaf():
            output.publish(publication("a", "b", "c"))
        reader.wait_for("a", "b", "c")
        assert reader.buckets.reloads == BUCKETS, "the log had what was missing"


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Let the script notify nobody while the block runs."""
    spoken = Script(APPLY.text.replace("redis.call(ARGV[9], ARGV[10], ARGV[8])", ""))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kuma_sd_redis.bucket_writer.APPLY", spoken)
        yield


def test_an_edge_that_was_away_catches_up_from_the_log(server: RedisServer) -> None:
    with publishing(server.url) as output, edge(server.url) as reader:
        output.publish(fleet(100))
        reader.wait(lambda one: len(one.names) == 100)
        server.cli("CLIENT", "KILL", "TYPE", "pubsub")
        output.publish(fleet(100, "web"))
        reader.wait(lambda one: len(one.names) == 101)
        assert any("subscription ended" in error or "Redis at" in error for error in reader.errors)
        assert reader.buckets.reloads == BUCKETS
        assert reader.snapshots[-1].connected > reader.snapshots[0].connected


def test_an_edge_that_was_away_longer_than_the_log_reads_the_bucket_again(server: RedisServer) -> None:
    with publishing(server.url) as output, edge(server.url) as reader:
        output.publish(publication("a"))
        reader.wait_for("a")
        with _deaf():
            output.publish(publication(group("a", service="other")))
            server.cli("XTRIM", KEYS.log(bucket_for("a")), "MAXLEN", 0)
        output.publish(publication(group("a", service="third")))
        reader.wait(lambda one: one.snapshots[-1].assignments[0].read().labels["service"] == "third")
        assert reader.buckets.reloads == BUCKETS + 1


def test_an_edge_that_meets_another_epoch_reads_the_bucket_again(server: RedisServer) -> None:
    with publishing(server.url) as output, edge(server.url) as reader:
        output.publish(publication("a"))
        reader.wait_for("a")
        server.cli("FLUSHALL")
        output.publish(publication("a", "b"))
        reader.wait_for("a", "b")
        assert all(snapshot.assignments for snapshot in reader.snapshots)


def test_an_edge_whose_digest_differs_reads_the_bucket_again(server: RedisServer) -> None:
    with publishing(server.url) as output, edge(server.url) as reader:
        output.publish(publication("a"))
        reader.wait_for("a")
        bucket = bucket_for("a")
        buckets = reader.buckets
        buckets.positions[bucket] = buckets.positions[bucket]._replace(digest=1)
        output.publish(publication(group("a", service="other")))
        reader.wait(lambda one: one.snapshots[-1].assignments[0].read().labels["service"] == "other")
        assert buckets.reloads == BUCKETS + 1


def test_an_edge_that_is_ahead_goes_back_with_redis(server: RedisServer) -> None:
    with publishing(server.url) as output, edge(server.url, relay_look_interval=0.3) as reader:
        output.publish(publication("a"))
        reader.wait_for("a")
        position = reader.buckets.positions[bucket_for("a")]
        buckets = reader.buckets
        buckets.positions[bucket_for("a")] = Position(position.epoch, position.revision + 5, 7)
        eventually(lambda: buckets.positions[bucket_for("a")] == position, "the edge is where Redis is")


def test_an_entry_too_large_for_a_notification_is_read_from_the_log(server: RedisServer) -> None:
    large = {f"label_{number}": "x" * 1000 for number in range(100)}
    with publishing(server.url) as output, edge(server.url) as reader:
        output.publish(publication("a"))
        reader.wait_for("a")
        output.publish(publication(group("a", labels=large)))
        reader.wait(lambda one: len(one.snapshots[-1].assignments[0].read().labels) > 100)
        assert reader.buckets.reloads == BUCKETS


def test_buckets_that_redis_lost_stay_until_somebody_publishes_again(server: RedisServer) -> None:
    with publishing(server.url) as output:
        output.publish(publication("a", "b"))
        with edge(server.url, relay_look_interval=0.2) as reader:
            reader.wait_for("a", "b")
            output.close()
            server.cli("FLUSHALL")
            server.cli("CLIENT", "KILL", "TYPE", "pubsub")
            reader.wait(lambda one: len(one.snapshots) == 2)
            assert reader.names == {"a", "b"}
            assert f"{BUCKETS} not there" in reader.facts["buckets"]


def test_a_storm_is_gathered(server: RedisServer) -> None:
    with publishing(server.url) as output, edge(server.url) as reader:
        output.publish(fleet(100))
        reader.wait(lambda one: len(one.names) == 100)
        before = len(reader.snapshots)
        for number in range(50):
            output.publish(fleet(100, *(f"web-{index}" for index in range(number + 1))))
        reader.wait(lambda one: len(one.names) == 150)
        assert len(reader.snapshots) - before < 15


def test_the_status_says_what_is_followed(server: RedisServer) -> None:
    with publishing(server.url) as output, edge(f"{server.url}?shard=1&of=4") as reader:
        output.publish(fleet(100))
        reader.wait(lambda one: one.names)
        status = reader.source.status
        assert status.connected
        assert status.last_response is not None
        assert time.time() - status.last_response < 10
        assert (status.protocol, status.why) == ("Redis", f"following 256 of {BUCKETS} buckets of kuma-sd")
        server.kill()
        reader.wait(lambda one: len(one.errors) > 1)
        assert not reader.source.status.connected


def test_a_redis_that_hangs_is_noticed(server: RedisServer) -> None:
    with publishing(server.url) as output, edge(server.url, relay_timeout=0.3) as reader:
        output.publish(publication("a"))
        reader.wait_for("a")
        server.signal(signal.SIGSTOP)
        reader.wait(lambda one: any("no response" in error or "imeout" in error for error in one.errors))
        server.signal(signal.SIGCONT)
        output.publish(publication("a", "b"))
        reader.wait_for("a", "b")


def test_closing_ends_even_an_attempt_to_connect() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        with edge(f"redis://127.0.0.1:{silent.getsockname()[1]}"):
            threading.Event().wait(0.2)


def test_an_older_edge_says_what_it_cannot_read(server: RedisServer) -> None:
    with publishing(server.url) as output, edge(server.url) as reader:
        output.publish(publication("a"))
        reader.wait_for("a")
        bucket = bucket_of(field_of(group("a").key))
        head = server.cli("GET", KEYS.head(bucket))
        server.cli("SET", KEYS.head(bucket), f"2{head[1:]} and more")
        server.cli("PUBLISH", KEYS.channel(bucket), '{"format":2,"news":[]}')
        reader.wait(lambda one: any("is in format 2" in error for error in one.errors))
        reader.wait(lambda one: len(one.errors) > 1)
        assert reader.names == {"a"}
        assert Head.parse(head.encode()).position.revision == 1


def test_something_else_under_the_prefix_is_told_apart(server: RedisServer) -> None:
    server.cli("SET", KEYS.head(0), "hello world")
    with edge(server.url) as reader:
        reader.wait(lambda one: one.errors)
        assert "format unknown" in reader.errors[0]
