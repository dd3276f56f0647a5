"""A dataplane, independent of protocols."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

DataplaneKey = tuple[str, str]
"""Mesh and name."""


class Dataplane(NamedTuple):
    """The facts about a dataplane, which each protocol encodes differently; replaced, never changed.

    Args:
        name: unique within its mesh.
        mesh: the mesh it belongs to.
        service: the value of its first service tag.
        address: host and port of its metrics. By default on loopback, so that no other machine is contacted.
        scheme: http or https.
        metrics_path: the path of its metrics.
        labels: the labels that Kuma makes of its tags; see `labels_of_tags`.
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
        """Its identity."""
        return (self.mesh, self.name)
