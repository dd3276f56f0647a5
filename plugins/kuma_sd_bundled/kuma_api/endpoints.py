"""Compute the metrics endpoint of a dataplane, from policies and meshes, for one client."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from kuma_sd_bundled.kuma_api.documents import Backend, Mesh, MeshBackend, MeshBackendConf, Policy, Prometheus, Tls


class MetricsEndpoint(NamedTuple):
    """The metrics endpoint of dataplanes, at the address of each.

    Args:
        scheme: http or https.
        port: the port.
        path: the path.
        gateway: the name of the MeshGateway; empty where MADS gives no such label.
    """

    scheme: str
    port: int
    path: str
    gateway: str = ""


class Client(NamedTuple):
    """The client that requests targets.

    Args:
        name: its name, which backends may have as ``clientId``.
        shares: whether it also gets the backends that name no client (Kuma 2.5 and 2.6).
    """

    name: str
    shares: bool = False

    def takes(self, prometheus: Prometheus, *, named: bool) -> bool:
        """Tell whether a backend is meant for this client.

        Args:
            prometheus: the backend's part for Prometheus.
            named: whether any policy names this client.
        """
        if self.shares:
            return prometheus.client_id in (None, "", self.name)
        return prometheus.client_id == (self.name if named else None)


class PolicyEndpoints:
    """Computes the effect of MeshMetric policies for one client.

    Args:
        policies: all policies, also those that match nothing.
        client: the client.
    """

    def __init__(self, policies: Iterable[Policy], client: Client) -> None:
        policies = list(policies)
        self.count = len(policies)
        all_of_prometheus = [found for policy in policies for found in _prometheus(policy.backends or ())]
        self.client = client
        self.clients = frozenset(found.client_id for found in all_of_prometheus if found.client_id)
        """The clients that the policies name."""
        # The text counts, whatever the policies match.
        self._named = any(found.client_id == client.name for found in all_of_prometheus)
        self.for_client = any(client.takes(found, named=self._named) for found in all_of_prometheus)
        """Whether a policy has metrics for the client."""
        counted = [found for found in all_of_prometheus if not client.shares or client.takes(found, named=False)]
        self.replace_mesh_metrics = bool(counted)
        """Whether these policies switch off what meshes set: in every mesh, as soon as there is one for Prometheus."""

    def endpoint(self, backends: Sequence[Backend] | None) -> MetricsEndpoint | None:
        """Return the metrics endpoint that these backends set; of several for the client, the last one counts."""
        chosen = [found for found in _prometheus(backends or ()) if self.client.takes(found, named=self._named)]
        if not chosen:
            return None
        last = chosen[-1]
        return MetricsEndpoint(_scheme(last.tls, "ProvidedTLS"), last.port, last.path)


def mesh_endpoint(mesh: Mesh | None, own: MeshBackend | None) -> MetricsEndpoint | None:
    """Return the metrics endpoint that a mesh sets (Kuma 2); None if it sets none for Prometheus.

    Args:
        mesh: the mesh of the dataplane.
        own: the dataplane's own settings.
    """
    metrics = mesh.metrics if mesh else None
    if not metrics or not metrics.enabled:
        return None
    enabled = [backend for backend in metrics.backends or () if backend.name == metrics.enabled]
    if not enabled or enabled[0].type != "prometheus":
        return None
    conf = enabled[0].conf or MeshBackendConf()
    override = (own.conf if own and own.type in ("", "prometheus") else None) or MeshBackendConf()
    tls = override.tls if override.tls and override.tls.mode else conf.tls
    default = Prometheus()
    port, path = override.port or conf.port or default.port, override.path or conf.path or default.path
    return MetricsEndpoint(_scheme(tls, "providedTLS"), port, path)


def _prometheus(backends: Iterable[Backend]) -> list[Prometheus]:
    return [backend.prometheus or Prometheus() for backend in backends if backend.type == "Prometheus"]


def _scheme(tls: Tls | None, provided: str) -> str:
    return "https" if tls and tls.mode == provided else "http"
