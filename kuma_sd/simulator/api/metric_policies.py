"""Derive the settings of a mesh from the metrics endpoints of its dataplanes: Mesh.metrics, or MeshMetric policies.

A world holds only the metrics endpoint of each dataplane. The first endpoint of a mesh is set for the whole mesh;
others are set by dataplanes themselves (Mesh.metrics) or by a separate policy (MeshMetric).
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from kuma_sd.simulator.api.dataplane_documents import Document
from kuma_sd.simulator.dataplane import Dataplane

BEGINNING = "2026-01-01T00:00:00Z"
"""Creation time of everything that does not change."""


class MetricsPlace(NamedTuple):
    """The metrics endpoint of a dataplane."""

    scheme: str
    port: int
    path: str

    @classmethod
    def of(cls, dataplane: Dataplane) -> "MetricsPlace":
        """Return the metrics endpoint of a dataplane."""
        return cls(dataplane.scheme, int(dataplane.address.rpartition(":")[2]), dataplane.metrics_path)

    @property
    def policy(self) -> str:
        """The name of a policy that sets it."""
        return re.sub("[^a-z0-9]+", "-", f"{self.scheme}-{self.port}{self.path}".lower()).strip("-")


class MetricPolicies:
    """The settings of one mesh; endpoints stay once they were used, so that they do not come and go with dataplanes.

    Args:
        mesh: the name of the mesh.
        third: whether it is a mesh of Kuma 3.
    """

    def __init__(self, mesh: str, *, third: bool) -> None:
        self.mesh = mesh
        self._third = third
        self._places: list[MetricsPlace] = []

    def note(self, dataplanes: Iterable[Dataplane]) -> None:
        """Add settings for the endpoints of these dataplanes."""
        for place in map(MetricsPlace.of, dataplanes):
            if place not in self._places:
                self._places.append(place)

    def names(self, dataplane: Dataplane) -> list[str]:
        """Return the policies that match a dataplane, from the least to the most specific."""
        place = MetricsPlace.of(dataplane)
        return ["all"] if place == self._places[0] else ["all", place.policy]

    def matches(self, policy: str, dataplane: Dataplane) -> bool:
        """Tell whether a policy matches a dataplane."""
        return policy in self.names(dataplane)

    def conf(self, place: MetricsPlace, clients: Sequence[str]) -> Document:
        """Return the settings of an endpoint, for certain clients or for all."""
        tls = {"mode": "ProvidedTLS" if place.scheme == "https" else "Disabled"}
        prometheus = {"port": place.port, "path": place.path, "tls": tls}
        each = [{**prometheus, "clientId": client} for client in clients] or [prometheus]
        return {"backends": [{"type": "Prometheus", "prometheus": one_client} for one_client in each]}

    def policies(self, clients: Sequence[str]) -> list[Document]:
        """Return the MeshMetric policies."""
        target = (
            {"kind": "Dataplane", "labels": {"metrics": "own"}} if self._third else {"kind": "MeshSubset", "tags": {}}
        )
        documents = []
        for number, place in enumerate(self._places):
            spec = {"targetRef": target if number else {"kind": "Mesh"}, "default": self.conf(place, clients)}
            name = place.policy if number else "all"
            documents.append(
                _document("MeshMetric", name, self.mesh) | {"labels": {"kuma.io/mesh": self.mesh}, "spec": spec}
            )
        return sorted(documents, key=lambda document: str(document["name"]))

    def mesh_document(self, *, with_metrics: bool) -> Document:
        """Return the mesh, with its settings for metrics where these are not policies."""
        document = _document("Mesh", self.mesh)
        if with_metrics and self._places:
            backend = {"name": "prometheus-1", "type": "prometheus", "conf": _mesh_conf(self._places[0])}
            document["metrics"] = {"enabledBackend": "prometheus-1", "backends": [backend]}
        return document

    def own_metrics(self, dataplane: Dataplane) -> Document:
        """Return what a dataplane sets for itself under Mesh.metrics; nothing where the mesh's settings do."""
        place = MetricsPlace.of(dataplane)
        if place == self._places[0]:
            return {}
        return {"metrics": {"name": "prometheus-1", "type": "prometheus", "conf": _mesh_conf(place)}}


def _mesh_conf(place: MetricsPlace) -> Document:
    tls = {"mode": "providedTLS" if place.scheme == "https" else "disabled"}
    return {"port": place.port, "path": place.path, "skipMTLS": False, "tls": tls}


def _document(kind: str, name: str, mesh: str = "") -> Document:
    document = {"type": kind, "name": name, "creationTime": BEGINNING, "modificationTime": BEGINNING}
    return document | ({"mesh": mesh} if mesh else {})
