import contextlib
from pathlib import Path
from typing import cast

import pytest
import redis
import trustme
from redis_server import RedisServer, free_port, redis_server
from relay_kit import KEYS, QUICK, bucket_for, edge, publishing
from waiting import eventually

from kuma_sd import ConfigError, Context, SourceError, parse_url
from kuma_sd.testing import group, publication
from kuma_sd_redis import SOURCE
from kuma_sd_redis.options import RedisSourceOptions


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
        SOURCE.open(RedisSourceOptions(), Context("", address=parse_url(f"redis://localhost{query}")))


def test_a_closed_source_is_not_iterated(server: RedisServer) -> None:
    source = SOURCE.open(RedisSourceOptions(**QUICK), Context("", address=parse_url(server.url)))
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
        SOURCE.open(RedisSourceOptions(tls_ca_file=str(tmp_path / "none")), Context("", address=LOCAL))
    with pytest.raises(ConfigError, match="go together"):
        SOURCE.open(RedisSourceOptions(tls_cert_file="x"), Context("", address=LOCAL))
