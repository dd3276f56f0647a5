"""Whether a proxy is asked is decided alike over gRPC and HTTP; gRPC's own rules do not count."""

import base64
import contextlib
import socket
from collections.abc import Iterator

import pytest
from byte_server import byte_server, read_request

from kuma_sd import SourceError
from kuma_sd.core.url import parse_url
from kuma_sd.mads.plugin import MadsOptions
from kuma_sd.mads.source import MadsSource
from kuma_sd.simulator import Dataplane, SimulatedControlPlane, World

BOTH = pytest.mark.parametrize("transport", ["grpc", "http"])


class Network:
    """A control plane, and a proxy that refuses everything.

    Args:
        kuma: the address of the control plane.
        proxy: the address of the proxy.
        asked: the requests that came to the proxy.
    """

    def __init__(self, kuma: str, proxy: str, asked: list[bytes]) -> None:
        self.kuma = kuma
        self.proxy = proxy
        self.asked = asked

    def names(self, transport: str, proxy: str = "") -> list[str]:
        """Return the targets in the first response; none if the proxy was asked for it."""
        options = MadsOptions(transport=transport, proxy=parse_url(proxy) if proxy else None)
        with contextlib.closing(MadsSource(f"http://{self.kuma}", options, "")) as source:
            try:
                return [entry.key.name for entry in next(iter(source)).assignments]
            except SourceError:
                assert self.asked
                return []

    def assert_was_asked(self, transport: str) -> None:
        """Check what the proxy was asked, and for whom."""
        begins = {"grpc": f"CONNECT {self.kuma} ", "http": f"POST http://{self.kuma}/"}[transport]
        assert self.asked[0].startswith(begins.encode())
        credentials = base64.b64encode(b"user:pass@word")
        assert all(b"Basic " + credentials in request for request in self.asked)


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    for name in ("http_proxy", "https_proxy", "no_proxy", "grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    asked: list[bytes] = []

    def refuse(peer: socket.socket) -> None:
        if request := read_request(peer):
            asked.append(request)
            peer.sendall(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with byte_server(refuse) as proxy, SimulatedControlPlane(World([Dataplane("web")]), refresh=0) as kuma:
        yield Network(kuma.address, proxy.address, asked)


@BOTH
@pytest.mark.parametrize("no_proxy", ["127.0.0.1", "127.0.0.0/8", "kuma.invalid, {kuma}", "*", "127.0.0.1:1 {kuma}"])
def test_what_no_proxy_names_is_connected_to_directly(
    network: Network, monkeypatch: pytest.MonkeyPatch, transport: str, no_proxy: str
) -> None:
    monkeypatch.setenv("http_proxy", f"http://{network.proxy}")
    monkeypatch.setenv("NO_PROXY", no_proxy.format(kuma=network.kuma))
    assert network.names(transport) == ["web"]
    assert network.asked == []


@BOTH
@pytest.mark.parametrize("variable", ["grpc_proxy", "https_proxy"])
def test_the_variable_for_another_kind_of_connection_is_ignored(
    network: Network, monkeypatch: pytest.MonkeyPatch, transport: str, variable: str
) -> None:
    monkeypatch.setenv(variable, f"http://{network.proxy}")
    assert network.names(transport) == ["web"]
    assert network.asked == []


@BOTH
@pytest.mark.parametrize("no_proxy", ["", "127.0.0.1:1", "127.0.0.2,10.0.0.0/8"])
def test_everything_else_goes_through_the_proxy_with_its_user_and_password(
    network: Network, monkeypatch: pytest.MonkeyPatch, transport: str, no_proxy: str
) -> None:
    # Without a scheme, as the variable is often written.
    monkeypatch.setenv("HTTP_PROXY", f"user:pass%40word@{network.proxy}")
    monkeypatch.setenv("no_proxy", no_proxy)
    assert network.names(transport) == []
    network.assert_was_asked(transport)


@BOTH
def test_the_proxy_in_the_settings_is_asked_whatever_no_proxy_says(
    network: Network, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    monkeypatch.setenv("no_proxy", "*,127.0.0.1")
    assert network.names(transport, f"http://user:pass%40word@{network.proxy}") == []
    network.assert_was_asked(transport)
