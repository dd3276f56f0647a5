"""Build the targets of a client from the lists of a poll; unchanged dataplanes are not converted again."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import NamedTuple

from kuma_sd import Assignment, Key
from kuma_sd_bundled.kuma_api.api_codec import API_CODEC, at_endpoint
from kuma_sd_bundled.kuma_api.dataplanes import KnownDataplane
from kuma_sd_bundled.kuma_api.documents import Backend, Mesh, ResourceKey
from kuma_sd_bundled.kuma_api.endpoints import MetricsEndpoint, PolicyEndpoints, mesh_endpoint
from kuma_sd_bundled.kuma_api.gateways import MeshGateways
from kuma_sd_bundled.kuma_api.policies import PolicySet


@dataclass(frozen=True)
class Lists:
    """The lists read in one poll, from which the targets are built.

    Args:
        meshes: the meshes, by name.
        policies: the effect of the policies for the client.
        dataplanes: all dataplanes.
        matched: the policies that match each dataplane.
        merged: the merged result of each set of policies.
        gateways: the MeshGateways.
    """

    meshes: Mapping[str, Mesh]
    policies: PolicyEndpoints
    dataplanes: Mapping[ResourceKey, KnownDataplane]
    matched: Mapping[ResourceKey, PolicySet]
    merged: Mapping[PolicySet, Sequence[Backend]]
    gateways: MeshGateways

    def endpoints(self) -> Callable[[KnownDataplane], MetricsEndpoint | None]:
        """Return the settings that decide where the metrics of a dataplane are."""
        if not self.policies.replace_mesh_metrics:
            return self._mesh_endpoint
        by_policies = {policies: self.policies.endpoint(backends) for policies, backends in self.merged.items()}
        return lambda dataplane: by_policies.get(self.matched.get(dataplane.key, ()))

    def _mesh_endpoint(self, dataplane: KnownDataplane) -> MetricsEndpoint | None:
        endpoint = mesh_endpoint(self.meshes.get(dataplane.key.mesh), dataplane.metrics)
        gateway = self.gateways.name_for(dataplane)
        return endpoint._replace(gateway=gateway) if endpoint and gateway else endpoint


class _Made(NamedTuple):
    dataplane: KnownDataplane
    endpoint: MetricsEndpoint
    assignment: Assignment


class OutsideZones:
    """Contains the keys of the dataplanes that exist and are left out, since their zone is not one of the settings.

    Args:
        dataplanes: all dataplanes.
        zones: the zones in the settings; empty for all.
    """

    def __init__(self, dataplanes: Mapping[ResourceKey, KnownDataplane], zones: AbstractSet[str]) -> None:
        self._dataplanes = dataplanes
        self._zones = zones

    def __contains__(self, key: object) -> bool:
        if not self._zones or not isinstance(key, Key):
            return False
        dataplane = self._dataplanes.get(ResourceKey(key.mesh, key.name))
        return dataplane is not None and dataplane.zone not in self._zones


class Inventory:
    """The targets of one control plane.

    Args:
        control_plane: its name, which becomes part of each key.
        zones: the zones whose dataplanes are published; empty for all.
    """

    def __init__(self, control_plane: str, zones: Collection[str]) -> None:
        self._control_plane = control_plane
        self._zones = frozenset(zones)
        self._made: dict[ResourceKey, _Made] = {}

    @property
    def zones(self) -> AbstractSet[str]:
        """The zones whose dataplanes are published; empty for all."""
        return self._zones

    @property
    def targets(self) -> AbstractSet[ResourceKey]:
        """The dataplanes that are targets now."""
        return self._made.keys()

    def update(self, lists: Lists, kept: Iterable[ResourceKey] = ()) -> list[Assignment]:
        """Return the targets after a poll, sorted by key.

        Args:
            lists: the lists of the poll.
            kept: the dataplanes whose absence is not proved: their targets stay as they were.
        """
        endpoint_of = lists.endpoints()
        made = {}
        for key, dataplane in lists.dataplanes.items():
            if self._zones and dataplane.zone not in self._zones:
                continue
            endpoint = endpoint_of(dataplane)
            if endpoint:
                made[key] = self._make(dataplane, endpoint)
        made |= {key: self._made[key] for key in kept if key not in made and key in self._made}
        self._made = made
        return [made[key].assignment for key in sorted(made)]

    def _make(self, dataplane: KnownDataplane, endpoint: MetricsEndpoint) -> _Made:
        before = self._made.get(dataplane.key)
        if before and before.dataplane is dataplane and before.endpoint == endpoint:
            return before
        data = at_endpoint(dataplane.data, endpoint)
        if before and before.assignment.data == data:
            assignment = before.assignment
        else:
            key = Key(self._control_plane, dataplane.key.mesh, dataplane.key.name, 0)
            assignment = Assignment(key, data, API_CODEC)
        dataplane.data = assignment.data
        return _Made(dataplane, endpoint, assignment)
