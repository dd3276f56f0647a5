import json
import re
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from http_server import Answer, Request, Server, http_server
from os_reasons import NO_SUCH_FILE

from kuma_sd import Secret, SourceError, parse_url
from kuma_sd.http.address import parse_address
from kuma_sd.http.options import Header
from kuma_sd.http.tls_and_credentials import Access
from kuma_sd.mads import api_server_hints as api_server_module
from kuma_sd.mads.codecs.v1 import TYPE_URL
from kuma_sd.mads.decoder import MadsResponse
from kuma_sd.mads.first_answer_timeout import Patience
from kuma_sd.mads.negotiation import Negotiation
from kuma_sd.mads.plugin import MadsOptions
from kuma_sd.proto.discovery_pb2 import DiscoveryResponse
from kuma_sd.simulator import SimulatedControlPlane, World
from kuma_sd.simulator import kuma as simulated
from kuma_sd.testing import control_plane


@pytest.fixture
def kuma() -> Iterator[SimulatedControlPlane[World]]:
    with control_plane("a") as running:
        yield running


@pytest.fixture
def server() -> Iterator[Server]:
    with http_server() as running:
        yield running


def negotiate(address: str, **options: Any) -> Negotiation:
    parsed, configured = parse_address(address), MadsOptions(**options)
    return Negotiation(parsed.replicas[0], configured, Access(configured, parsed.user), Patience())


def first(negotiation: Negotiation) -> MadsResponse:
    response = next(iter(negotiation))
    assert response is not None
    return response


def api_server(server: Server, url: str | None = None, **documents: Any) -> None:
    """Let a server answer as the API server of a Kuma.

    Args:
        server: what answers.
        url: where its catalog says that MADS is; None is one without a catalog.
        **documents: what else it has, by path.
    """
    known = {f"/{path.strip('_')}": document for path, document in documents.items()}
    if url is not None:
        known["/catalog"] = {"apis": {"monitoringAssignment": {"url": url}}}

    def answer(request: Request) -> Answer:
        if request.method == "GET" and request.path in known:
            return 200, {}, json.dumps(known[request.path]).encode()
        return 404, {}, b"404: Page Not Found"

    for _ in range(5):
        server.answers.put(answer)


EMPTY = b'{"version_info":"1","type_url":"type.googleapis.com/kuma.observability.v1.MonitoringAssignment"}'


def test_where_grpc_is_spoken_it_is_taken(kuma: SimulatedControlPlane[World]) -> None:
    negotiation = negotiate(kuma.url)
    assert len(list(first(negotiation).resources)) == 1
    assert negotiation.protocol == "v1 gRPC"
    assert (str(negotiation.endpoint), negotiation.why) == (kuma.address, "")


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_where_only_http_is_spoken_it_is_taken_whatever_the_scheme_says(server: Server, scheme: str) -> None:
    server.answer(body=EMPTY)
    negotiation = negotiate(f"{scheme}://{server.address}")
    assert list(first(negotiation).resources) == []
    assert negotiation.protocol == "v1 HTTP"
    assert (str(negotiation.endpoint), negotiation.why) == (server.address, "this Kuma serves no gRPC")


OF_ITS_OWN = ["localhost", "a.localhost.", "127.0.0.1", "127.9.9.9", "127.1", "2130706433", "0", "[::1]", "[::]"]
OF_ITS_OWN += ["169.254.169.254", "0xa9fea9fe", "[fe80::1]", "[::ffff:169.254.169.254]"]


@pytest.mark.parametrize("host", OF_ITS_OWN)
def test_the_address_of_an_old_api_server_leads_to_mads_on_its_machine_not_on_ours(
    server: Server, kuma: SimulatedControlPlane[World], host: str
) -> None:
    api_server(server, f"grpc://{host}:{kuma.address.partition(':')[2]}")
    negotiation = negotiate(f"http://{server.address}")
    assert len(list(first(negotiation).resources)) == 1
    assert str(negotiation.endpoint) == kuma.address


def test_credentials_go_to_the_configured_address_only(server: Server) -> None:
    with http_server() as mads:
        mads.answer(body=EMPTY)
        api_server(server, f"grpc://{mads.address}")
        first(negotiate(f"http://user:s3cr3t@{server.address}", header=(Header("X-Tenant", Secret("m")),)))
        request = mads.requests.get(timeout=5)
    assert "Authorization" in server.requests.get(timeout=5).headers
    assert not {"Authorization", "X-Tenant"}.intersection(request.headers)


@pytest.mark.parametrize("url", [None, "", "nonsense", "grpc://"])
def test_nothing_but_a_catalog_leads_to_another_port(
    server: Server, kuma: SimulatedControlPlane[World], monkeypatch: pytest.MonkeyPatch, url: str | None
) -> None:
    monkeypatch.setattr(api_server_module, "MADS_PORT", int(kuma.address.partition(":")[2]))
    api_server(server, url)
    with pytest.raises(SourceError, match="no MADS there"):
        first(negotiate(f"http://{server.address}"))
    assert kuma.counts.streams == 0


def test_where_nothing_is_found_one_line_says_what_was_tried(server: Server) -> None:
    api_server(server)
    with pytest.raises(SourceError) as error:
        first(negotiate(f"http://{server.address}"))
    assert str(error.value) == f"v1 HTTP at {server.address}: no MADS there (HTTP status 404)"


KUMA_2 = {"tagline": "Kuma", "version": "2.14.3"}
KUMA_3 = {"tagline": "Kuma", "version": "3.0.0"}


@pytest.mark.parametrize(
    ("documents", "hint"),
    [
        ({"_": KUMA_2, "config": {"mode": "global"}}, "Kuma 2.14.3, a global control plane, which has none"),
        (
            {"_": KUMA_2, "config": {"mode": "zone", "monitoringAssignmentServer": {"enabled": False}}},
            "Kuma 2.14.3, where it is switched off (KUMA_MONITORING_ASSIGNMENT_SERVER_ENABLED)",
        ),
        (
            {"_": KUMA_3, "config": {"mode": "zone", "environment": "kubernetes"}},
            "Kuma 3.0.0 on Kubernetes, where Kuma 3 has none",
        ),
        (
            {"_": KUMA_2, "config": {"mode": "zone", "monitoringAssignmentServer": {"port": 7676, "tlsEnabled": True}}},
            "Kuma 2.14.3, whose MADS is usually at https://127.0.0.1:7676",
        ),
        (
            {"_": KUMA_2},
            "Kuma 2.14.3, whose MADS is usually at http://127.0.0.1:5676, unless it is a global control plane",
        ),
        ({"meshes": {"total": 1, "items": []}}, "a control plane, whose MADS is usually at http://127.0.0.1:5676"),
    ],
)
def test_an_api_server_is_recognised_and_the_way_out_is_said(
    server: Server, documents: dict[str, Any], hint: str
) -> None:
    api_server(server, **documents)
    with pytest.raises(SourceError) as error:
        first(negotiate(f"http://{server.address}"))
    message = str(error.value)
    assert message.startswith(f"no MADS at {server.address}: that is the API server of {hint}")
    assert message.endswith(f"get the targets from the API, with kuma-api+http://{server.address}")


@pytest.mark.parametrize(
    ("options", "tried"),
    [
        ({}, ["v1", "v1alpha1"]),
        ({"api_version": "v1"}, ["v1"]),
        ({"api_version": "v1alpha1"}, ["v1alpha1"]),
        ({"transport": "http"}, []),
    ],
)
def test_only_what_is_allowed_is_tried(
    kuma: SimulatedControlPlane[World], options: dict[str, str], tried: list[str]
) -> None:
    kuma.refuse(grpc.StatusCode.UNIMPLEMENTED)
    with pytest.raises(SourceError) as error:
        first(negotiate(kuma.url, **options))
    assert ("it does not speak MADS v1 over" in str(error.value)) == ("v1" in tried)
    assert ("it does not speak MADS v1alpha1 over" in str(error.value)) == ("v1alpha1" in tried)


def test_a_failure_other_than_not_implemented_never_leads_to_v1alpha1(kuma: SimulatedControlPlane[World]) -> None:
    kuma.refuse(grpc.StatusCode.INTERNAL)
    with pytest.raises(SourceError) as error:
        first(negotiate(kuma.url))
    assert "v1alpha1" not in str(error.value)


def test_a_response_that_is_too_large_is_no_reason_to_try_something_else(kuma: SimulatedControlPlane[World]) -> None:
    with pytest.raises(SourceError, match="larger than max-message-size"):
        first(negotiate(kuma.url, max_message_size=1))
    assert kuma.counts.streams == 1


@pytest.mark.parametrize("version", ["2.9.13", "2.14.3"])
def test_a_client_that_no_meshmetric_names_is_told_so(version: str) -> None:
    with SimulatedControlPlane(World(), refresh=0, line=simulated(version)) as kuma:
        kuma.serve_only("prometheus")
        with pytest.raises(SourceError, match="every MeshMetric names other clients than ours: compare clientId"):
            first(negotiate(kuma.url, fetch_timeout=0.1))


def test_behind_a_path_only_http_is_tried(server: Server) -> None:
    server.answer(body=EMPTY)
    negotiation = negotiate(f"http://{server.address}/kuma")
    first(negotiation)
    assert (str(negotiation.endpoint), negotiation.why) == (f"{server.address}/kuma", "")
    assert server.connections == 1


class TestTLS:
    @pytest.fixture
    def authority(self) -> trustme.CA:
        return trustme.CA()

    @pytest.fixture
    def secure(self, authority: trustme.CA) -> Iterator[Server]:
        """Run an HTTPS server without ALPN, as Kuma has it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", "kuma.example").configure_cert(context)
        with http_server(context) as running:
            yield running

    @pytest.fixture
    def trusted(self, authority: trustme.CA, tmp_path: Path) -> str:
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        return str(tmp_path / "ca.pem")

    @pytest.mark.parametrize("scheme", ["grpcs", "https"])
    def test_without_alpn_it_ends_in_https_by_itself(self, secure: Server, trusted: str, scheme: str) -> None:
        secure.answer(body=EMPTY)
        negotiation = negotiate(f"{scheme}://{secure.address}", tls_ca_file=trusted)
        first(negotiation)
        assert negotiation.protocol == "v1 HTTP"

    def test_behind_a_gateway_with_alpn_grpc_is_spoken_over_tls(self, authority: trustme.CA, trusted: str) -> None:
        ours = authority.issue_cert("127.0.0.1")
        chain = b"".join(pem.bytes() for pem in ours.cert_chain_pems)
        empty = DiscoveryResponse(version_info="1", type_url=TYPE_URL).SerializeToString()
        handler = grpc.method_handlers_generic_handler(
            "kuma.observability.v1.MonitoringAssignmentDiscoveryService",
            {"StreamMonitoringAssignments": grpc.stream_stream_rpc_method_handler(lambda _requests, _: iter([empty]))},
        )
        gateway = grpc.server(ThreadPoolExecutor(1), handlers=[handler])
        credentials = grpc.ssl_server_credentials([(ours.private_key_pem.bytes(), chain)])
        port = gateway.add_secure_port("127.0.0.1:0", credentials)
        gateway.start()
        negotiation = negotiate(f"https://127.0.0.1:{port}", tls_ca_file=trusted)
        assert list(first(negotiation).resources) == []
        assert negotiation.protocol == "v1 gRPC"
        gateway.stop(grace=None).wait(5)

    def test_an_unknown_certificate_is_refused_and_said(self, secure: Server) -> None:
        with pytest.raises(SourceError, match=r"TLS fails: ."):
            first(negotiate(f"https://{secure.address}"))

    def test_a_certificate_for_another_name_is_refused(self, secure: Server, trusted: str) -> None:
        address = f"https://localhost:{secure.address.partition(':')[2]}"
        with pytest.raises(SourceError, match="TLS fails: its certificate is for another name"):
            first(negotiate(address, tls_ca_file=trusted))

    def test_the_name_to_expect_can_be_set(self, secure: Server, trusted: str) -> None:
        secure.answer(body=EMPTY)
        address = f"https://localhost:{secure.address.partition(':')[2]}"
        first(negotiate(address, tls_ca_file=trusted, tls_server_name="kuma.example"))

    def test_verification_can_be_left_out(self, secure: Server) -> None:
        secure.answer(body=EMPTY)
        first(negotiate(f"https://{secure.address}", tls_insecure_skip_verify=True))

    def test_a_plaintext_server_is_no_https_server(self, server: Server) -> None:
        with pytest.raises(SourceError, match="TLS fails"):
            first(negotiate(f"https://{server.address}"))

    def test_a_server_that_resets_what_is_no_grpc_is_said_to_have_no_tls(self) -> None:
        with SimulatedControlPlane(World(), line=simulated("1.1.6")) as old, pytest.raises(SourceError) as error:
            first(negotiate(f"https://{old.address}"))
        assert re.search(rf"TLS fails: .*; if the server does not use TLS, use http://{old.address}$", str(error.value))

    def test_it_is_never_downgraded_to_plaintext_unless_that_is_allowed(
        self, secure: Server, trusted: str, kuma: SimulatedControlPlane[World]
    ) -> None:
        api_server(secure, f"grpc://127.0.0.1:{kuma.address.partition(':')[2]}")
        with pytest.raises(SourceError, match=r"without TLS, as all Kuma before 2.0; to go there, set allow-plaintext"):
            first(negotiate(f"https://{secure.address}", tls_ca_file=trusted))
        assert kuma.counts.streams == 0
        api_server(secure, f"grpc://127.0.0.1:{kuma.address.partition(':')[2]}")
        first(negotiate(f"https://{secure.address}", tls_ca_file=trusted, allow_plaintext=True))
        assert kuma.counts.streams == 1

    def test_a_client_certificate_is_shown(self, authority: trustme.CA, trusted: str, tmp_path: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
        ours = authority.issue_cert("client.example")
        ours.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
        ours.private_key_pem.write_to_path(tmp_path / "key.pem")
        options = {"tls_cert_file": str(tmp_path / "cert.pem"), "tls_key_file": str(tmp_path / "key.pem")}
        with http_server(context) as server:
            server.answer(body=EMPTY)
            first(negotiate(f"https://{server.address}", tls_ca_file=trusted, **options))

    @pytest.mark.parametrize("option", ["tls_ca_file", "bearer_token_file"])
    def test_a_file_that_is_not_there_is_said(self, secure: Server, option: str) -> None:
        with pytest.raises(SourceError, match=NO_SUCH_FILE):
            first(negotiate(f"https://{secure.address}", **{option: "/no/such/file"}))


def test_credentials_of_the_address_are_sent(server: Server) -> None:
    server.answer(body=EMPTY)
    first(negotiate(f"http://user:p%40ss@{server.address}/kuma"))
    assert server.requests.get(timeout=5).headers["Authorization"] == "Basic dXNlcjpwQHNz"


def test_a_proxy_is_used(server: Server) -> None:
    server.answer(body=EMPTY)
    first(negotiate("http://kuma.invalid:5676/kuma", proxy=parse_url(f"http://{server.address}")))
    assert server.requests.get(timeout=5).path.startswith("http://kuma.invalid:5676/kuma/v3/discovery:")


def test_the_proxy_of_the_environment_is_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://{server.address}")
    monkeypatch.setenv("no_proxy", "")
    server.answer(body=EMPTY)
    first(negotiate("http://kuma.invalid:5676/kuma"))
    assert server.requests.get(timeout=5).path.startswith("http://kuma.invalid:5676/kuma/")


def test_a_proxy_that_cannot_be_used_for_where_the_catalog_leads_is_an_expected_error(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "socks5://proxy")
    monkeypatch.setenv("no_proxy", "")
    api_server(server, "grpcs://kuma.invalid:5676")
    with pytest.raises(SourceError):
        first(negotiate(f"http://{server.address}"))
