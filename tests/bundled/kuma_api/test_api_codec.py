"""What is kept of a target, and addresses that cannot be."""

import pytest

from kuma_sd import Key, TransformError
from kuma_sd_bundled.kuma_api.api_codec import API_CODEC, DataplaneFacts, at_endpoint, encode
from kuma_sd_bundled.kuma_api.endpoints import MetricsEndpoint

KEY = Key("", "default", "web-0", 0)


def address(host: str, port: int = 5670) -> str:
    data = at_endpoint(encode(DataplaneFacts("web-0", host, "web")), MetricsEndpoint("http", port, "/metrics"))
    return API_CODEC.read(KEY, data).address


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("192.0.2.1", "192.0.2.1:5670"),
        ("2001:db8::7", "[2001:db8::7]:5670"),
        ("web.internal", "web.internal:5670"),
        ("web_1.internal.", "web_1.internal.:5670"),
    ],
)
def test_hosts_and_ports_are_joined(host: str, expected: str) -> None:
    assert address(host) == expected


@pytest.mark.parametrize("host", ["", "300.1.2.3", "web 1", "web/1", "[::1]", "http://web", "-web", "x" * 300, "1.2"])
def test_an_address_that_cannot_be_is_a_clear_line(host: str) -> None:
    with pytest.raises(TransformError, match="address") as raised:
        address(host)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_that_cannot_be_is_a_clear_line(port: int) -> None:
    with pytest.raises(TransformError, match="port"):
        address("192.0.2.1", port)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]\n{}", b'["http",1,"/"]\n', b"\xff\n\xff"])
def test_bytes_that_are_no_target_are_a_clear_line(data: bytes) -> None:
    with pytest.raises(TransformError, match="not a target"):
        API_CODEC.read(KEY, data)
