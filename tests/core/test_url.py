"""A URL is taken apart once, and what is shown of it is made of its parts."""

import pytest

from kuma_sd.core.secret import Secret
from kuma_sd.core.url import Url, parse_url


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("grpc://one:5676,two", "grpc://one:5676,two"),
        ("https://user:pa%40ss@host:1/a/b", "https://********@host:1/a/b"),
        ("https://t0k3n@host", "https://********@host"),
        ("redis+sentinel://:pa+ss%2F@a,b/main/2", "redis+sentinel://********@a,b/main/2"),
        ("redis://[::1]:6379?shard=3&of=1024", "redis://[::1]:6379?shard=3&of=1024"),
        ("redis://host?password=s3cr3t&shard=1", "redis://host?********"),
        ("redis://host?s3cr3t", "redis://host?********"),
        ("file:/var/lib/a%20b", "file:/var/lib/a%20b"),
        ("file:///a", "file:///a"),
    ],
)
def test_what_is_shown_holds_no_secret_and_what_is_revealed_is_what_was_written(text: str, shown: str) -> None:
    url = parse_url(text)
    assert str(url) == f"{url}" == shown
    assert repr(url) == f"Url({shown!r})"
    assert url.reveal() == text
    assert parse_url(text) == url


def test_user_and_password_are_without_percent_signs() -> None:
    url = parse_url("redis://me:a%2Fb%40c:d@host/2?x=1")
    assert (url.user, url.password.reveal(), url.hosts, url.path) == ("me", "a/b@c:d", "host", "/2")
    assert url.query == Secret("x=1")


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("http://user:pa@s3cr3t@host", "%40"),
        ("http://user:pa/s3cr3t@host", "%2F"),
        ("http://user:pa?s3cr3t@host", "%3F"),
        ("http://user:pa#s3cr3t@host", "%23"),
        ("http://host/a#s3cr3t", "%23"),
        ("http://user:pa s3cr3t@host", "%20"),
        ("http://user:pa\ns3cr3t@host", "%20"),
        ("http:user:s3cr3t@host", "http://user:password@host"),
        ("http:host?s3cr3t", "%3F"),
        ("http://user:s3cr3t", "grpc://host:5676"),
        ("http://[s3cr3t", "grpc://host:5676"),
        ("http:///user:s3cr3t@host", "%2F"),
        ("s3cr3t", "grpc://host:5676"),
        ("S3cr3t://x", "grpc://host:5676"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused_with_advice_and_not_quoted(text: str, advice: str) -> None:
    with pytest.raises(ValueError, match=advice) as caught:
        parse_url(text)
    assert "s3cr3t" not in str(caught.value).lower()


def test_an_url_may_be_made_of_parts() -> None:
    assert Url("http", hosts="host").reveal() == "http://host"
