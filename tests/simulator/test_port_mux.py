"""What each line makes of each protocol on its one port."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator

import grpc
import pytest
import trustme
from raw_client import Connect
from raw_http import HttpConnection

from kuma_sd import ConfigError
from kuma_sd.simulator import Dataplane, SimulatedControlPlane, World, kuma
from kuma_sd.simulator.encoders import GrpcV1, GrpcV1alpha1


def running(version: str, tls: ssl.SSLContext | None = None) -> SimulatedControlPlane[World]:
    return SimulatedControlPlane(World([Dataplane("a")]), refresh=0, line=kuma(version), tls=tls)


@contextlib.contextmanager
def connected(control_plane: SimulatedControlPlane[World]) -> Iterator[socket.socket]:
    host, _, port = control_plane.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=5) as wire:
        yield wire


@pytest.mark.parametrize(
    ("version", "form"),
    [
        ("0.3.2", GrpcV1alpha1),
        ("1.1.6", GrpcV1alpha1),
        ("1.2.3", GrpcV1alpha1),
        ("1.2.3", GrpcV1),
        ("1.3.1", GrpcV1),
        ("2.6.15", GrpcV1),
    ],
)
def test_the_versions_of_grpc_that_a_line_has(
    connect: Connect, version: str, form: type[GrpcV1 | GrpcV1alpha1]
) -> None:
    with running(version) as control_plane:
        client = connect(control_plane.address, form.method)
        client.ask(type_url=form.type_url)
        response = client.receive()
        assert (response.type_url, len(response.resources)) == (form.type_url, 1)


@pytest.mark.parametrize(
    ("version", "form"), [("0.3.2", GrpcV1), ("1.1.6", GrpcV1), ("1.3.1", GrpcV1alpha1), ("2.6.15", GrpcV1alpha1)]
)
def test_the_others_are_unimplemented(connect: Connect, version: str, form: type[GrpcV1 | GrpcV1alpha1]) -> None:
    service = form.method.split("/")[1]
    with running(version) as control_plane:
        client = connect(control_plane.address, form.method)
        client.ask()
        with pytest.raises(grpc.RpcError) as error:
            client.receive()
    assert (error.value.code(), error.value.details()) == (grpc.StatusCode.UNIMPLEMENTED, f"unknown service {service}")


@pytest.mark.parametrize("version", ["0.3.2", "1.1.6"])
def test_http_is_reset_where_there_is_only_grpc(version: str) -> None:
    with running(version) as control_plane:
        client = HttpConnection(control_plane.address)
        with pytest.raises(ConnectionResetError):
            client.poll()
        client.close()


@pytest.mark.parametrize("version", ["2.7.0", "2.14.3", "3.0"])
def test_grpc_gets_an_http_1_answer_where_there_is_only_http(connect: Connect, version: str) -> None:
    with running(version) as control_plane:
        client = connect(control_plane.address)
        client.ask()
        with pytest.raises(grpc.RpcError) as error:
            client.receive()
        with connected(control_plane) as wire:
            wire.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            assert wire.recv(100).startswith(b"HTTP/1.1 400 ")
    assert error.value.code() is grpc.StatusCode.UNAVAILABLE


def test_all_at_once_on_one_port(connect: Connect) -> None:
    with running("1.2.3") as control_plane:
        http = HttpConnection(control_plane.address)
        assert http.poll().names == ["a"]
        for form in (GrpcV1, GrpcV1alpha1):
            client = connect(control_plane.address, form.method)
            client.ask(type_url=form.type_url)
            assert len(client.receive().resources) == 1
        assert http.poll().names == ["a"]
        http.close()


def test_the_protocol_is_told_however_slowly_the_first_bytes_come() -> None:
    with running("1.2.3") as control_plane, connected(control_plane) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"POST / HTTP/1.1\r\n\r\n":
            wire.sendall(bytes([byte]))
        assert wire.recv(1000).startswith(b"HTTP/1.1 404 ")


def test_closing_cuts_every_kind_of_connection(connect: Connect) -> None:
    control_plane = running("1.2.3")
    control_plane.start()
    client = connect(control_plane.address)
    client.ask()
    client.receive()
    with connected(control_plane) as silent, connected(control_plane) as half:
        half.sendall(b"POST /v3/disc")
        started = time.monotonic()
        control_plane.close()
        assert time.monotonic() - started < 0.3
        for wire in (silent, half):
            with contextlib.suppress(ConnectionResetError):
                assert wire.recv(1) == b""
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("simulator connection")]


def test_a_client_that_goes_away_harms_nobody(connect: Connect) -> None:
    with running("1.2.3") as control_plane:
        for start in (b"", b"P", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"POST /", b"\x16\x03\x01"):
            with connected(control_plane) as wire:
                wire.sendall(start)
        client = connect(control_plane.address)
        client.ask()
        assert len(client.receive().resources) == 1


def test_a_large_response_passes_quickly(connect: Connect) -> None:
    with running("2.6.15") as control_plane:
        control_plane.world.replace(Dataplane(f"backend-{number}", labels={"x": "y" * 500}) for number in range(20_000))
        for _ in range(2):
            started = time.monotonic()
            client = connect(control_plane.address)
            client.ask()
            assert len(client.raw()) > 10_000_000
        assert time.monotonic() - started < 1


class TestTLS:
    @pytest.fixture
    def authority(self) -> trustme.CA:
        return trustme.CA()

    @pytest.fixture
    def certificate(self, authority: trustme.CA) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        return context

    @pytest.mark.parametrize("version", ["2.0.8", "2.6.15", "2.14.3"])
    def test_no_alpn_is_selected_and_http_1_is_inside(
        self, authority: trustme.CA, certificate: ssl.SSLContext, version: str
    ) -> None:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        context.set_alpn_protocols(["h2", "http/1.1"])
        with running(version, certificate) as control_plane, connected(control_plane) as wire:
            assert control_plane.url.partition("://")[0] in ("grpcs", "https")
            with context.wrap_socket(wire, server_hostname="127.0.0.1") as encrypted:
                assert encrypted.selected_alpn_protocol() is None
                encrypted.sendall(b"GET / HTTP/1.1\r\nHost: kuma\r\n\r\n")
                assert encrypted.recv(1000).startswith(b"HTTP/1.1 404 ")

    def test_plaintext_is_not_understood(self, certificate: ssl.SSLContext) -> None:
        with running("2.14.3", certificate) as control_plane, connected(control_plane) as wire:
            wire.sendall(b"GET / HTTP/1.1\r\nHost: kuma\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                assert b"HTTP" not in wire.recv(1000)

    def test_closing_cuts_it(self, authority: trustme.CA, certificate: ssl.SSLContext) -> None:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        control_plane = running("2.14.3", certificate)
        control_plane.start()
        with (
            connected(control_plane) as unfinished,
            connected(control_plane) as wire,
            context.wrap_socket(wire, server_hostname="127.0.0.1"),
        ):
            started = time.monotonic()
            control_plane.close()
            assert time.monotonic() - started < 0.3
            assert unfinished.recv(1) == b""

    def test_before_2_0_there_was_none(self, certificate: ssl.SSLContext) -> None:
        with pytest.raises(ConfigError, match=r"MADS has TLS since Kuma 2\.0 only"):
            running("1.8.8", certificate)
