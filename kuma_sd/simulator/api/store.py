"""Hold the encoded lists of the API server; only what changed is encoded again."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from kuma_sd.simulator.api.dataplane_documents import ApiFlavour, dataplane_document, meta_labels
from kuma_sd.simulator.api.metric_policies import MetricPolicies
from kuma_sd.simulator.dataplane import Dataplane, DataplaneKey
from kuma_sd.simulator.world import World


class Row(NamedTuple):
    """One dataplane, with its encodings in the list of dataplanes and in the lists of matched dataplanes."""

    dataplane: Dataplane
    document: bytes
    match: bytes


class ApiStore:
    """Dataplanes and policies of a world, in order of mesh and name.

    Args:
        world: the world to list.
        flavour: how the control plane describes dataplanes.
        mesh_metric: returns whether policies, and not meshes, set metrics endpoints.
        bare_matches: whether matched dataplanes are listed without their labels (Kuma 2.6).
    """

    def __init__(
        self, world: World, flavour: ApiFlavour, mesh_metric: Callable[[], bool], *, bare_matches: bool
    ) -> None:
        self.flavour = flavour
        self._world = world
        self._mesh_metric = mesh_metric
        self._bare_matches = bare_matches
        self._lock = threading.Lock()
        self._changed = True
        self._rows: dict[DataplaneKey, Row] = {}
        self._meshes: dict[str, MetricPolicies] = {}
        self._by_mesh_metric = mesh_metric()
        self._lists: dict[str, Sequence[bytes]] = {}
        world.subscribe(self._note_change)

    def close(self) -> None:
        """Stop following the world."""
        self._world.unsubscribe(self._note_change)

    def rows(self) -> dict[DataplaneKey, Row]:
        """Return the dataplanes by mesh and name in the API, in order."""
        with self._lock:
            if self._changed or self._by_mesh_metric != self._mesh_metric():
                self._changed = False
                self._renew()
            return self._rows

    def meshes(self) -> Sequence[MetricPolicies]:
        """Return the settings of each mesh, in order of names."""
        self.rows()
        with self._lock:
            return [self._meshes[name] for name in sorted(self._meshes)]

    def cached(self, name: str, items: Callable[[], Iterable[bytes]]) -> Sequence[bytes]:
        """Return a list that is built again only after a change.

        Args:
            name: the name of the list in the cache.
            items: builds the list.
        """
        self.rows()
        lists = self._lists
        if name not in lists:
            lists[name] = list(items())
        return lists[name]

    def _note_change(self) -> None:
        self._changed = True

    def _renew(self) -> None:
        by_mesh_metric = self._mesh_metric()
        before = self._rows if by_mesh_metric == self._by_mesh_metric else {}
        self._by_mesh_metric = by_mesh_metric
        now = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime())}.{time.time_ns() % 10**9:09d}Z"
        rows = {}
        for dataplane in self._world.dataplanes:
            key = (dataplane.mesh, self.flavour.name(dataplane))
            row = before.get(key)
            rows[key] = row if row and row.dataplane is dataplane else self._row(dataplane, now)
        self._rows = dict(sorted(rows.items()))
        self._lists = {}

    def _row(self, dataplane: Dataplane, now: str) -> Row:
        policies = self._meshes.get(dataplane.mesh)
        if policies is None:
            policies = self._meshes[dataplane.mesh] = MetricPolicies(dataplane.mesh, third=self.flavour.third)
        policies.note([dataplane])
        document = dataplane_document(dataplane, self.flavour, now)
        if not self._by_mesh_metric:
            document |= policies.own_metrics(dataplane)
        match = {"type": "Dataplane", "mesh": dataplane.mesh, "name": document["name"]}
        if not self._bare_matches:
            match["labels"] = meta_labels(dataplane, self.flavour)
        return Row(dataplane, msgspec.json.encode(document), msgspec.json.encode(match))
