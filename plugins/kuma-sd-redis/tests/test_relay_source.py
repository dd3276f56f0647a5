import contextlib
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
import redis
import trustme
from msgspec.structs import replace
from processes import eventually
from redis_server import RedisServer, free_port, redis_server
from relay_kit import KEYS, QUICK, bucket_for, edge, publishing

from kuma_sd import ConfigError, Context, Key, Publication, SourceError, Target, parse_url
from kuma_sd.testing import group, publication
from kuma_sd_redis import SOURCE
from kuma_sd_redis.layout import BUCKETS, Head, Position, bucket_of, field_of
from kuma_sd_redis.options import RedisSourceOptions
from kuma_sd_redis.scripts import APPLY, Script


def fleet(count: int, *more: str) -> Publication:
    return publication(*(f"backend-{number:04}" for number in range(count)), *more)


def test_what_is_published_arrives_as_assignments_with_the_labels_of_the_groups(server: RedisServer) -> None:
    published = group("backend-01")
    with publishing(server.url) as output, edge(server.url, "relay") as reader:
        output.publish(publication(published))
        reader.wait_for("backend-01")
        (one,) = reader.snapshots[-1].assignments
        assert one.key == Key("relay", "default", "/default/backend-01/0/0", 0)
        target = one.read()
        assert target.labels == published.labels | {"__address__": published.targets[0]}
        assert replace(target, labels={}) == Target("", "", "", "", "", "", "", {})
        assert reader.snapshots[-1].complete


def test_a_change_arrives_by_notification_and_the_rest_stays_the_same_objects(server: RedisServer) -> None:
    with publishing(server.url) as output, edge(server.url, relay_look_interval=600.0) as reader:
        output.publish(fleet(500))
        reader.wait(lambda one: len(one.names) == 500)
        before = {id(assignment) for assignment in reader.snapshots[-1].assignments}
        output.publish(fleet(500, "web"))
        reader.wait(lambda one: len(one.names) == 501)
        fresh = [entry for entry in reader.snapshots[-1].assignments if id(entry) not in before]
        assert [item.key.name for item in fresh] == ["/default/web/0/0"]
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
        assert reader.replica.reloads == BUCKETS, "the log had what was missing"


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Let the script notify nobody while the block runs."""
    spoken = Script(APPLY.text.replace("redis.call(ARGV[9], ARGV[10], ARGV[8])", ""))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kuma_sd_redis.writer.APPLY", spoken)
        yield


def test_an_edge_that_was_away_catches_up_from_the_log(server: RedisServer) -> None:
    with publishing(server.url) as output, edge(server.url) as reader:
        output.publish(fleet(100))
        reader.wait(lambda one: len(one.names) == 100)
        server.cli("CLIENT", "KILL", "TYPE", "pubsub")
        output.publish(fleet(100, "web"))
        reader.wait(lambda one: len(one.names) == 101)
        assert any("subscription ended" in error or "Redis at" in error for error in reader.errors)
        assert reader.replica.reloads == BUCKETS
        assert reader.snapshots[-1].connected > reader.snapshots[0].connected


def test_an_edge_that_was_away_longer_than_the_log_reads_the_bucket_again(server: RedisServer) -> None:
    with publishing(server.url) as output, edge(server.url, relay_look_interval=0.3) as reader:
        output.publish(publication("a"))
        reader.wait_for("a")
        with _deaf():
            output.publish(publication(group("a", service="other")))
            server.cli("XTRIM", KEYS.log(bucket_for("a")), "MAXLEN", 0)
            output.publish(publication(group("a", service="third")))
        reader.wait(lambda one: one.snapshots[-1].assignments[0].read().labels["service"] == "third")
        assert reader.replica.reloads == BUCKETS + 1


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
        replica = reader.replica
        replica.positions[bucket] = replica.positions[bucket]._replace(digest=1)
        output.publish(publication(group("a", service="other")))
        reader.wait(lambda one: one.snapshots[-1].assignments[0].read().labels["service"] == "other")
        assert replica.reloads == BUCKETS + 1


def test_an_edge_that_is_ahead_goes_back_with_redis(server: RedisServer) -> None:
    with publishing(server.url) as output, edge(server.url, relay_look_interval=0.3) as reader:
        output.publish(publication("a"))
        reader.wait_for("a")
        position = reader.replica.positions[bucket_for("a")]
        replica = reader.replica
        replica.positions[bucket_for("a")] = Position(position.epoch, position.revision + 5, 7)
        eventually(lambda: replica.positions[bucket_for("a")] == position, "the edge is where Redis is")


def test_an_entry_too_large_for_a_notification_is_read_from_the_log(server: RedisServer) -> None:
    large = {f"label_{number}": "x" * 1000 for number in range(100)}
    with publishing(server.url) as output, edge(server.url) as reader:
        output.publish(publication("a"))
        reader.wait_for("a")
        output.publish(publication(group("a", labels=large)))
        reader.wait(lambda one: len(one.snapshots[-1].assignments[0].read().labels) > 100)
        assert reader.replica.reloads == BUCKETS


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
        reader.wait(lambda one: any("said nothing" in error or "imeout" in error for error in one.errors))
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
        reader.wait(lambda one: any("is in format '2'" in error for error in one.errors))
        reader.wait(lambda one: len(one.errors) > 1)
        assert reader.names == {"a"}
        assert Head.parse(head.encode()).position.revision == 1


def test_something_else_under_the_prefix_is_told_apart(server: RedisServer) -> None:
    server.cli("SET", KEYS.head(0), "hello world")
    with edge(server.url) as reader:
        reader.wait(lambda one: one.errors)
        assert "format 'hello'" in reader.errors[0]


def test_a_password_is_used_and_never_shown(tmp_path: Path) -> None:
    with redis_server(tmp_path, "--requirepass", "hunter2") as server:
        url = server.url.replace("://", "://:hunter2@")
        with publishing(url) as output, edge(url) as reader:
            output.publish(publication("a"))
            reader.wait_for("a")
            assert "hunter2" not in str(reader.facts)
        with edge(server.url.replace("://", "://:wrong@")) as reader:
            reader.wait(lambda one: one.errors)
            assert "wrong@" not in reader.errors[0]


def test_an_edge_may_read_and_nothing_else(server: RedisServer) -> None:
    """The rights that docs/scale.md recommends are enough."""
    page = Path(__file__).parents[3] / "docs/scale.md"
    rules = [line.split()[2:] for line in page.read_text().splitlines() if line.startswith("ACL SETUSER")]
    for words in rules:
        assert server.cli("ACL", "SETUSER", *words) == "OK"
    server.cli("ACL", "SETUSER", "default", "off")
    with (
        publishing(server.url.replace("://", "://publisher:PASSWORD@")) as output,
        edge(server.url.replace("://", "://edge:PASSWORD@")) as whole,
        edge(server.url.replace("://", "://edge:PASSWORD@") + "?shard=0&of=1") as again,
        edge(server.url.replace("://", "://edge:PASSWORD@") + f"?shard={bucket_for('a')}&of=1024") as shard,
    ):
        output.publish(publication("a", "b"))
        output.publish(publication("a", "b", group("c")))
        whole.wait_for("a", "b", "c")
        again.wait_for("a", "b", "c")
        shard.wait_for("a")


@pytest.mark.parametrize("user", ["publisher", "edge"])
@pytest.mark.parametrize(
    "command",
    ["CLIENT PAUSE 1", "CLIENT KILL TYPE pubsub", "CLIENT LIST", "FLUSHALL", "KEYS *", "CONFIG GET *", "SHUTDOWN NOW"],
)
def test_nobody_with_the_rights_of_the_docs_can_stop_the_relay(server: RedisServer, user: str, command: str) -> None:
    page = Path(__file__).parents[3] / "docs/scale.md"
    for line in page.read_text().splitlines():
        if line.startswith("ACL SETUSER"):
            assert server.cli("ACL", "SETUSER", *line.split()[2:]) == "OK"
    client = redis.Redis("127.0.0.1", server.port, username=user, password="PASSWORD")  # noqa: S106 (as the page says)
    with contextlib.closing(client), pytest.raises(redis.exceptions.NoPermissionError):
        client.execute_command(*command.split())


def test_an_edge_may_not_publish_or_write(server: RedisServer) -> None:
    page = Path(__file__).parents[3] / "docs/scale.md"
    rule = next(line for line in page.read_text().splitlines() if line.startswith("ACL SETUSER edge"))
    assert server.cli("ACL", "SETUSER", *rule.split()[2:]) == "OK"
    client = redis.Redis("127.0.0.1", server.port, username="edge", password="PASSWORD")  # noqa: S106 (as the page says)
    for command in (("PUBLISH", KEYS.channel(1), "x"), ("SET", KEYS.head(1), "x"), ("DEL", KEYS.head(1))):
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.execute_command(*command)
    client.close()


@pytest.mark.parametrize("query", ["?shard=3", "?shard=100&of=100", "?of=2000&shard=1", "?shard=x&of=2", "?other=1"])
def test_a_shard_that_cannot_be_is_refused(query: str) -> None:
    with pytest.raises(ConfigError, match=r"shard|unknown"):
        SOURCE.open(parse_url(f"redis://localhost{query}"), RedisSourceOptions(), Context(""))


def test_a_closed_source_is_not_iterated(server: RedisServer) -> None:
    source = SOURCE.open(parse_url(server.url), RedisSourceOptions(**QUICK), Context(""))
    source.close()
    with pytest.raises(SourceError, match="closed"):
        list(source)


def test_nobody_there_is_an_error_that_names_the_place() -> None:
    port = free_port()
    with edge(f"redis://127.0.0.1:{port}") as reader:
        reader.wait(lambda one: one.errors)
        assert f"Redis at redis://127.0.0.1:{port}" in reader.errors[0]


def test_another_relay_whose_prefix_begins_with_ours_does_not_disturb(server: RedisServer) -> None:
    with publishing(server.url) as ours, publishing(server.url, prefix="kuma-sd:east") as theirs:
        ours.publish(publication("a"))
        with edge(server.url) as reader:
            reader.wait_for("a")
            theirs.publish(publication("b"))
            ours.publish(publication("a", "c"))
            reader.wait_for("a", "c")
            assert not reader.errors


def test_tls_with_certificates_of_ones_own(tmp_path: Path) -> None:
    authority = trustme.CA()
    names = [tmp_path / name for name in ("ca.pem", "cert.pem", "key.pem")]
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(names[0])
    certificate.cert_chain_pems[0].write_to_path(names[1])
    certificate.private_key_pem.write_to_path(names[2])
    ca, cert, key = map(str, names)
    port = free_port()
    options = ("--tls-port", str(port), "--tls-ca-cert-file", ca, "--tls-cert-file", cert, "--tls-key-file", key)
    files = {"tls_ca_file": ca, "tls_cert_file": cert, "tls_key_file": key}
    url = f"rediss://127.0.0.1:{port}"
    with redis_server(tmp_path / "redis", *options), publishing(url, **files) as output, edge(url, **files) as reader:
        output.publish(publication("a"))
        reader.wait_for("a")
        with edge(url) as stranger:
            stranger.wait(lambda one: "certificate" in "".join(one.errors).lower())


def test_a_bucket_that_stays_doubtful_does_not_hide_what_happens_in_others(server: RedisServer) -> None:
    client = redis.Redis("127.0.0.1", server.port)
    bucket = bucket_for("b")
    keys = (KEYS.head(bucket), KEYS.groups(bucket), KEYS.log(bucket))
    assert bucket != bucket_for("a")
    with publishing(server.url) as output, edge(server.url, relay_look_interval=2.0) as reader:
        output.publish(publication("a", "b"))
        saved = {key: client.dump(key) for key in keys}
        output.publish(publication("a"))
        reader.wait_for("a")
        output.close()
        head = cast("bytes", client.get(KEYS.head(bucket_for("a")))).split()
        client.set(KEYS.head(bucket_for("a")), b" ".join([*head[:3], b"9.bad", b"1", b"0" * 32]))
        follower = reader.source._follower
        assert follower
        eventually(lambda: follower._doubtful, "the head and the content of one bucket do not fit together")
        # Without a notification, as if it was lost.
        client.delete(*keys)
        for key, content in saved.items():
            if content is not None:
                client.restore(key, 0, content)
        reader.wait_for("a", "b")


LOCAL = parse_url("rediss://localhost")


def test_a_certificate_that_is_not_there_is_said_when_settings_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be used"):
        SOURCE.open(
            parse_url("rediss://localhost"), RedisSourceOptions(tls_ca_file=str(tmp_path / "none")), Context("")
        )
    with pytest.raises(ConfigError, match="go together"):
        SOURCE.open(LOCAL, RedisSourceOptions(tls_cert_file="x"), Context(""))
