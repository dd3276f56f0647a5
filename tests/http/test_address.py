import pytest

from kuma_sd import ConfigError
from kuma_sd.http.address import Endpoint, parse_address


@pytest.mark.parametrize(
    ("address", "endpoint", "shown"),
    [
        ("grpc://localhost:1234", Endpoint("localhost", 1234), "localhost:1234"),
        ("grpc://kuma.internal", Endpoint("kuma.internal", 5676), "kuma.internal:5676"),
        ("grpcs://kuma.internal", Endpoint("kuma.internal", 5676, tls=True), "kuma.internal:5676 with TLS"),
        ("http://[2001:db8::1]:5681/", Endpoint("2001:db8::1", 5681), "[2001:db8::1]:5681"),
        ("http://gateway", Endpoint("gateway", 80), "gateway:80"),
        ("https://gateway/kuma/", Endpoint("gateway", 443, tls=True, path="/kuma"), "gateway:443/kuma with TLS"),
    ],
)
def test_an_address_tells_where_to_connect(address: str, endpoint: Endpoint, shown: str) -> None:
    assert parse_address(address).replicas == (endpoint,)
    assert str(endpoint) == shown


def test_replicas_share_scheme_path_and_user() -> None:
    parsed = parse_address("https://user:p%40ss@one:1,two,[::1]:3/kuma")
    assert parsed.user.reveal() == "user:p@ss"
    assert parsed.replicas == (
        Endpoint("one", 1, tls=True, path="/kuma"),
        Endpoint("two", 443, tls=True, path="/kuma"),
        Endpoint("::1", 3, tls=True, path="/kuma"),
    )


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("grpc://", "is not of the form grpc://host:5676"),
        ("localhost:5676", "is not of the form grpc://host:5676"),
        ("localhost", "has no scheme"),
        ("ftp://localhost", "is not of the form grpc://host:5676"),
        ("grpc://localhost:port", "a host or a port that is none"),
        ("grpc://localhost:99999", "a host or a port that is none"),
        ("grpc://one,,two", "names no host"),
        ("grpc://:5676", "names no host"),
        ("http://localhost?x=1", "may not hold a query"),
        ("grpc://a:5676,grpc://b:5676", "like grpc://host-1:5676,host-2:5676"),
        ("https://a,http://b/kuma", "like https://host-1:5676,host-2:5676"),
        ("grpc://küma.example:5676", "is not ASCII"),
    ],
)
def test_what_is_no_address_is_refused(address: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        parse_address(address)


@pytest.mark.parametrize(
    "address",
    ["ftp://user:s3cr3t@host", "grpc://user:s3cr3t@host:port", "grpc://u:s3cr3t@h?x", "grpc://a,grpc://u:s3cr3t@b"],
)
def test_a_password_in_an_address_is_never_shown(address: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_address(address)
    assert "s3cr3t" not in str(error.value)
