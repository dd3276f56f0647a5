"""The addresses of [web]: opened, refused, changed without a hole, and what TLS and users they have."""

import dataclasses
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import bcrypt
import pytest
import trustme
from os_reasons import ADDRESS_IN_USE
from serving import Address, basic, exchange, get
from waiting import eventually

from kuma_sd.core.errors import ConfigError, KumaSDError
from kuma_sd.system.threads import Threads
from kuma_sd.web.application import Application, Response
from kuma_sd.web.server.tcp_listeners import WebListeners, bind, written


@dataclass(frozen=True)
class Web:
    listen_address: tuple[str, ...] = ("127.0.0.1:0",)
    config_file: Path | None = None
    hosts: tuple[str, ...] = ()
    enable_lifecycle: bool = False


Serving = Callable[[Web], WebListeners]


def other_address() -> str:
    """Return an address that is not 127.0.0.1: of IPv6 where there is any."""
    try:
        bind("[::1]:0").close()
    except KumaSDError:
        return "127.0.0.2:0"
    return "[::1]:0"


OTHER = other_address()


@pytest.fixture
def serving() -> Iterator[Serving]:
    application = Application()
    application.add("GET", "/", lambda _request: Response.lines("hello"))
    application.add("POST", "/-/reload", lambda _request: Response.lines("reloaded"))
    threads = Threads()

    def begin(web: Web) -> WebListeners:
        listeners = WebListeners(application, web, threads.start, partial(threads.stop, 5))
        listeners.open()
        listeners.start()
        return listeners

    yield begin
    assert threads.stop(timeout=5) == []
    assert threads.failure is None


def addresses(listeners: WebListeners) -> list[Address]:
    return [serving.socket.getsockname() for serving in listeners._serving.values()]


def test_each_address_answers_and_is_said(serving: Serving, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    listeners = serving(Web(("127.0.0.1:0", "localhost:0", OTHER, ":0")))
    for address in addresses(listeners):
        assert f"listening url=http://{written(address)}/" in caplog.text
        host = {"::": "127.0.0.1", "0.0.0.0": "127.0.0.1"}.get(address[0], address[0])  # noqa: S104 (compared, not bound)
        with socket.create_connection((host, address[1]), 5) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert client.makefile("rb").read().endswith(b"hello\n")
    assert [address[0] for address in addresses(listeners)][:2] == ["127.0.0.1", "127.0.0.1"]


def test_no_address_is_none(serving: Serving) -> None:
    assert addresses(serving(Web(()))) == []


def test_a_busy_port_is_one_clear_line(serving: Serving) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        address = written(busy.getsockname())
        expected = f"cannot listen on {address}: {ADDRESS_IN_USE}; set listen-address in [web] to another"
        with pytest.raises(KumaSDError, match=re.escape(expected)):
            serving(Web(("127.0.0.1:0", address)))


@pytest.mark.parametrize("address", ["no-such-host.invalid:9119", "192.0.2.1:9119", "[2001:db8::1]:9119"])
def test_an_address_of_another_machine_is_one_clear_line(address: str) -> None:
    with pytest.raises(KumaSDError, match=rf"^cannot listen on {re.escape(address)}: .+; set listen-address"):
        bind(address)


def test_new_addresses_listen_before_old_ones_are_gone(serving: Serving) -> None:
    listeners = serving(Web(("127.0.0.1:0",)))
    (old,) = addresses(listeners)
    with listeners.changing(Web((OTHER,))):
        assert get(old).endswith(b"hello\n")
    (new,) = addresses(listeners)
    assert get((new[0], new[1])).endswith(b"hello\n")
    with pytest.raises(ConnectionRefusedError):
        get(old)


@pytest.mark.parametrize(("old", "new"), [("127.0.0.1", ""), ("", "127.0.0.1"), ("127.0.0.1", "localhost")])
def test_a_port_goes_from_one_address_to_all_and_back(serving: Serving, old: str, new: str) -> None:
    free = bind("127.0.0.1:0")
    port = free.getsockname()[1]
    free.close()
    listeners = serving(Web((f"{old}:{port}",)))
    with listeners.changing(Web((f"{new}:{port}",))):
        pass
    assert list(listeners._serving) == [f"{new}:{port}"]
    assert get(("127.0.0.1", port)).endswith(b"hello\n")


def test_a_port_goes_back_when_the_reload_fails(serving: Serving) -> None:
    free = bind("127.0.0.1:0")
    port = free.getsockname()[1]
    free.close()
    listeners = serving(Web((f"127.0.0.1:{port}",)))
    with pytest.raises(ZeroDivisionError), listeners.changing(Web((f":{port}",))):
        raise ZeroDivisionError
    assert get(("127.0.0.1", port)).endswith(b"hello\n")


def test_an_address_that_stays_is_not_touched(serving: Serving) -> None:
    listeners = serving(Web(("127.0.0.1:0",)))
    (old,) = addresses(listeners)
    with listeners.changing(Web(("127.0.0.1:0", OTHER), enable_lifecycle=True)):
        pass
    assert old in addresses(listeners)
    assert len(addresses(listeners)) == 2
    post = b"POST /-/reload HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert exchange(old, post).endswith(b"reloaded\n")


def test_a_reload_that_fails_leaves_everything_as_it_was(serving: Serving, tmp_path: Path) -> None:
    listeners = serving(Web())
    (old,) = addresses(listeners)
    free = bind("127.0.0.1:0")
    wanted = written(free.getsockname())
    free.close()
    with pytest.raises(ZeroDivisionError), listeners.changing(Web((wanted,), enable_lifecycle=True)):
        raise ZeroDivisionError
    bind(wanted).close()
    with (
        socket.create_server(("127.0.0.1", 0)) as busy,
        pytest.raises(KumaSDError, match=ADDRESS_IN_USE),
        listeners.changing(Web((wanted, written(busy.getsockname())))),
    ):
        pytest.fail("it is not even tried")
    bind(wanted).close()
    (tmp_path / "web.yml").write_text("nonsense: {}")
    with pytest.raises(ConfigError), listeners.changing(Web(config_file=tmp_path / "web.yml")):
        pytest.fail("it is not even tried")
    assert get(old).endswith(b"hello\n")
    assert (
        exchange(old, b"POST /-/reload HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").split()[1] == b"403"
    )


AUTHORITY = trustme.CA()


@dataclass(frozen=True)
class Files:
    """A web configuration with what it names, and clients that trust it."""

    path: Path

    def write(self, users: str = "", **tls: object) -> Web:
        certificate = AUTHORITY.issue_cert("localhost")
        certificate.private_key_pem.write_to_path(str(self.path / "key.pem"))
        certificate.cert_chain_pems[0].write_to_path(str(self.path / "cert.pem"))
        AUTHORITY.cert_pem.write_to_path(str(self.path / "ca.pem"))
        lines = [
            f"  {name}: {value}" for name, value in {"cert_file": "cert.pem", "key_file": "key.pem", **tls}.items()
        ]
        (self.path / "web.yml").write_text("\n".join(["tls_server_config:", *lines, users]))
        return Web(config_file=self.path / "web.yml")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def client(*names: str, authority: trustme.CA = AUTHORITY) -> ssl.SSLContext:
    """Return a client that trusts our authority, with a certificate if it has names."""
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    if names:
        authority.issue_cert(*names).configure_cert(context)
    return context


def answers(address: Address, context: ssl.SSLContext, *headers: str) -> bool:
    """Tell whether a client gets an answer; one with TLS 1.3 learns only then that it was refused."""
    try:
        return b"hello" in get(address, "/", *headers, context=context)
    except (ssl.SSLError, ConnectionError):
        return False


def test_tls_is_spoken(serving: Serving, files: Files) -> None:
    (address,) = addresses(serving(files.write()))
    assert answers(address, client())
    assert not answers(address, ssl.create_default_context()), "it does not trust us"


def test_who_speaks_no_tls_is_told(serving: Serving, files: Files, caplog: pytest.LogCaptureFixture) -> None:
    (address,) = addresses(serving(files.write()))
    assert get(address).endswith(b"this port speaks HTTPS\n")
    assert exchange(address, b"nonsense\r\n\r\n") is not None
    assert answers(address, client())
    assert caplog.text == ""


def test_who_is_slow_with_tls_delays_nobody(serving: Serving, files: Files) -> None:
    (address,) = addresses(serving(files.write()))
    slow = [socket.create_connection(address) for _ in range(5)]
    try:
        for connection in slow[:3]:
            connection.sendall(b"\x16\x03\x01")
        assert answers(address, client())
    finally:
        for connection in slow:
            connection.close()


@pytest.mark.parametrize(
    ("kind", "without", "foreign"),
    [("VerifyClientCertIfGiven", True, False), ("RequireAndVerifyClientCert", False, False)],
)
def test_clients_show_certificates(serving: Serving, files: Files, kind: str, *, without: bool, foreign: bool) -> None:
    (address,) = addresses(serving(files.write(client_auth_type=kind, client_ca_file="ca.pem")))
    assert answers(address, client("prometheus.example"))
    assert answers(address, client()) is without
    assert answers(address, client("prometheus.example", authority=trustme.CA())) is foreign


def test_only_the_names_that_are_allowed_come_in(serving: Serving, files: Files) -> None:
    web = files.write(
        client_auth_type="RequireAndVerifyClientCert",
        client_ca_file="ca.pem",
        client_allowed_sans="[prometheus.example, '::1']",
    )
    (address,) = addresses(serving(web))
    assert answers(address, client("prometheus.example"))
    assert answers(address, client("::1"))
    assert not answers(address, client("other.example"))


def test_versions_and_ciphers_are_kept_to(serving: Serving, files: Files) -> None:
    web = files.write(
        min_version="TLS12", max_version="TLS12", cipher_suites="[TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]"
    )
    (address,) = addresses(serving(web))
    newest, other = client(), client()
    newest.minimum_version = ssl.TLSVersion.TLSv1_3
    other.maximum_version = ssl.TLSVersion.TLSv1_2
    other.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    assert answers(address, client())
    assert not answers(address, newest)
    assert not answers(address, other)


def test_a_new_certificate_is_shown_without_a_restart(serving: Serving, files: Files) -> None:
    (address,) = addresses(serving(files.write()))

    def serial() -> bytes | None:
        with (
            socket.create_connection(address, 5) as plain,
            client().wrap_socket(plain, server_hostname="localhost") as secured,
        ):
            return secured.getpeercert(binary_form=True)

    before = serial()
    files.write()
    eventually(lambda: serial() != before, "the new certificate is shown")


def test_a_password_is_checked_once_and_forgotten_with_the_file(serving: Serving, files: Files) -> None:
    hashed = [bcrypt.hashpw(password, bcrypt.gensalt(4)).decode() for password in (b"old", b"new")]
    web = files.write(f"basic_auth_users: {{alice: {hashed[0]}}}")
    listeners = serving(web)
    (address,) = addresses(listeners)

    def may(password: str) -> bool:
        return answers(address, client(), f"Authorization: {basic('alice', password)}")

    assert not answers(address, client())
    for _ in range(3):
        assert may("old")
    authentication = listeners._config.now.authentication
    assert authentication
    assert authentication.computed == 1
    files.write(f"basic_auth_users: {{alice: {hashed[1]}}}")
    eventually(lambda: not may("old"), "the old password is forgotten")
    eventually(lambda: may("new"), "the new one is known")


def test_another_file_can_be_set_while_it_runs(serving: Serving, files: Files) -> None:
    listeners = serving(Web())
    (address,) = addresses(listeners)
    with listeners.changing(dataclasses.replace(files.write(), listen_address=("127.0.0.1:0",))):
        pass
    assert answers(address, client())


def test_a_reload_that_would_turn_tls_off_is_refused_unless_a_file_says_so(serving: Serving, files: Files) -> None:
    listeners = serving(files.write())
    (address,) = addresses(listeners)
    with (
        pytest.raises(ConfigError, match=re.escape("let the file say 'tls_server_config: {}'")),
        listeners.changing(Web()),
    ):
        pytest.fail("it is not even tried")
    assert answers(address, client())
    (files.path / "open.yml").write_text("tls_server_config: {}")
    with listeners.changing(Web(config_file=files.path / "open.yml")):
        pass
    assert get(address).endswith(b"hello\n")
