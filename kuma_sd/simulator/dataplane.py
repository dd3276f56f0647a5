"""A dataplane, in no protocol's words."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

DataplaneKey = tuple[str, str]
"""Mesh and name."""


class Dataplane(NamedTuple):
    """What every protocol writes in its own way; never changed, but replaced.

    Args:
        name: unique within its mesh.
        mesh: the mesh it belongs to.
        service: the value of its first service tag.
        address: host and port of its metrics. By default on loopback, so that nobody contacts a stranger.
        scheme: http or https.
        metrics_path: where its metrics are.
        labels: its tags, as Kuma makes labels of them; see `labels_of_tags`.
    """

    name: str
    mesh: str = "default"
    service: str = "backend"
    address: str = "127.0.0.1:5670"
    scheme: str = "http"
    metrics_path: str = "/metrics"
    labels: Mapping[str, str] = MappingProxyType({})

    @property
    def key(self) -> DataplaneKey:
        """What makes it the same one over time."""
        return (self.mesh, self.name)
