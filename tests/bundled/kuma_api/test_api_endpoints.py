"""Where metrics are: MeshMetric for one client, and Mesh.metrics."""

from typing import Any

import msgspec
import pytest

from kuma_sd_bundled.kuma_api.documents import Backend, Mesh, MeshBackend, Policy
from kuma_sd_bundled.kuma_api.endpoints import Client, MetricsEndpoint, PolicyEndpoints, mesh_endpoint

UNSET = {"type": "Prometheus", "prometheus": {"port": 1, "path": "/unset"}}
EMPTY = {"type": "Prometheus", "prometheus": {"port": 2, "path": "/empty", "clientId": ""}}
OURS = {"type": "Prometheus", "prometheus": {"port": 3, "path": "/ours", "clientId": "kuma_sd"}}
OTHER = {"type": "Prometheus", "prometheus": {"port": 4, "path": "/other", "clientId": "other"}}
TLS = {"type": "Prometheus", "prometheus": {"port": 5, "path": "/tls", "tls": {"mode": "ProvidedTLS"}}}
MTLS = {"type": "Prometheus", "prometheus": {"port": 6, "path": "/m", "tls": {"mode": "ActiveMTLSBackend"}}}
TELEMETRY = {"type": "OpenTelemetry", "openTelemetry": {"endpoint": "collector:4317"}}
FUTURE = {"type": "SomethingNew", "somethingNew": {"port": 7}}


def path(*backends: dict[str, Any], shares: bool = False, elsewhere: tuple[dict[str, Any], ...] = ()) -> str | None:
    """Return the path of the chosen backend."""
    policy = msgspec.convert(
        {"name": "all", "mesh": "default", "spec": {"default": {"backends": [*backends, *elsewhere]}}}, Policy
    )
    endpoints = PolicyEndpoints([policy], Client("kuma_sd", shares))
    endpoint = endpoints.endpoint(msgspec.convert(list(backends), list[Backend]))
    return endpoint and endpoint.path


@pytest.mark.parametrize(
    ("backends", "elsewhere", "expected"),
    [
        ([UNSET], [], "/unset"),
        ([UNSET, OTHER], [], "/unset"),
        ([UNSET, OURS], [], "/ours"),
        ([OURS, UNSET], [], "/ours"),
        ([UNSET], [OURS], None),
        ([EMPTY], [], None),
        ([OTHER], [], None),
        ([TELEMETRY, FUTURE], [], None),
        ([UNSET, TLS], [], "/tls"),
        ([], [], None),
    ],
)
def test_since_kuma_2_7_a_client_that_any_policy_names_gets_what_names_it_and_others_what_names_nobody(
    backends: list[dict[str, Any]], elsewhere: list[dict[str, Any]], expected: str | None
) -> None:
    assert path(*backends, elsewhere=tuple(elsewhere)) == expected


@pytest.mark.parametrize(
    ("backends", "expected"),
    [([UNSET, OTHER], "/unset"), ([OURS, UNSET], "/unset"), ([UNSET, EMPTY], "/empty"), ([OTHER], None)],
)
def test_in_kuma_2_6_a_client_also_gets_what_names_nobody(backends: list[dict[str, Any]], expected: str | None) -> None:
    assert path(*backends, shares=True) == expected


@pytest.mark.parametrize(
    ("backend", "shares", "replace"),
    [(OTHER, False, True), (OTHER, True, False), (UNSET, True, True), (TELEMETRY, False, False)],
)
def test_mesh_metrics_count_until_a_policy_is_for_prometheus_and_in_kuma_2_6_for_this_client(
    backend: dict[str, Any], *, shares: bool, replace: bool
) -> None:
    policy = msgspec.convert({"name": "a", "mesh": "m", "spec": {"default": {"backends": [backend]}}}, Policy)
    assert PolicyEndpoints([policy], Client("kuma_sd", shares)).replace_mesh_metrics is replace


def test_only_provided_tls_is_https() -> None:
    endpoints = PolicyEndpoints([], Client("kuma_sd"))
    [tls, mtls] = [endpoints.endpoint([msgspec.convert(backend, Backend)]) for backend in (TLS, MTLS)]
    assert (tls, mtls) == (MetricsEndpoint("https", 5, "/tls"), MetricsEndpoint("http", 6, "/m"))


def mesh(**backend: Any) -> Mesh:
    enabled = {"name": "p", "type": "prometheus", **backend}
    return msgspec.convert({"name": "m", "metrics": {"enabledBackend": "p", "backends": [enabled]}}, Mesh)


CONF = {"port": 1234, "path": "/mesh", "tls": {"mode": "providedTLS"}}


@pytest.mark.parametrize(
    ("found", "own", "expected"),
    [
        (mesh(conf=CONF), None, MetricsEndpoint("https", 1234, "/mesh")),
        (mesh(), None, MetricsEndpoint("http", 5670, "/metrics")),
        (mesh(conf=CONF), {"conf": {"port": 9}}, MetricsEndpoint("https", 9, "/mesh")),
        (mesh(conf=CONF), {"conf": {"path": "/o", "tls": {"mode": "disabled"}}}, MetricsEndpoint("http", 1234, "/o")),
        (mesh(conf=CONF), {"type": "unknown", "conf": {"port": 9}}, MetricsEndpoint("https", 1234, "/mesh")),
        (mesh(type="unknown"), None, None),
        (mesh(name="another"), None, None),
        (Mesh("m"), None, None),
        (None, None, None),
    ],
)
def test_a_mesh_says_where_metrics_are_and_a_dataplane_replaces_parts_of_it(
    found: Mesh | None, own: dict[str, Any] | None, expected: MetricsEndpoint | None
) -> None:
    assert mesh_endpoint(found, msgspec.convert(own, MeshBackend) if own else None) == expected
