"""Answer the requests for each path of the API."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from urllib.parse import unquote

import msgspec

from kuma_sd.simulator.api.dataplane_documents import ApiFlavour, Document
from kuma_sd.simulator.api.metric_policies import MetricPolicies, MetricsPlace
from kuma_sd.simulator.api.paging import PageRequest, error_document
from kuma_sd.simulator.api.store import ApiStore, Row
from kuma_sd.simulator.http_server import JSON, ServerRequest, ServerResponse
from kuma_sd.simulator.kuma_versions import KumaVersion
from kuma_sd.simulator.world import World

_MESH_METRIC_SINCE = (2, 6, 0)
_LABELLED_MATCHES_SINCE = (2, 7, 0)
_THIRD = (3, 0, 0)

_DATAPLANES = re.compile(r"(?:/meshes/(?P<mesh>[^/]+))?/dataplanes")
_POLICIES = re.compile(r"(?:/meshes/(?P<mesh>[^/]+))?/meshmetrics")
_DATAPLANE = re.compile(r"/meshes/(?P<mesh>[^/]+)/dataplanes/(?P<name>[^/]+)(?P<rules>/_rules|/_policies)?")
_MATCHES = re.compile(r"/meshes/(?P<mesh>[^/]+)/meshmetrics/(?P<name>[^/]+)/_resources/dataplanes")


class ApiAnswers:
    """Answers requests like the API server of one Kuma version.

    Args:
        world: the world to serve.
        kuma_version: the Kuma version to simulate.
        clients: returns the clients that MeshMetrics name; empty for one MeshMetric for all clients.
        kubernetes: whether it runs on Kubernetes.
        zones: the zones of a global control plane; empty for a control plane of one zone.
    """

    def __init__(
        self,
        world: World,
        kuma_version: KumaVersion,
        clients: Callable[[], Iterable[str]],
        *,
        kubernetes: bool = False,
        zones: Sequence[str] = (),
    ) -> None:
        self._version = kuma_version.since
        self._clients = clients
        flavour = ApiFlavour(self._version >= _THIRD, kubernetes, tuple(zones))
        bare = self._version < _LABELLED_MATCHES_SINCE
        self._store = ApiStore(world, flavour, self._by_mesh_metric, bare_matches=bare)

    def close(self) -> None:
        """Stop following the world."""
        self._store.close()

    def __call__(self, request: ServerRequest) -> ServerResponse | None:
        """Answer a request; None for a path that this version of Kuma does not have."""
        if request.method != "GET":
            return None
        if request.path == "/":
            return _json(200, self._index())
        if request.path == "/meshes":
            documents = [each.mesh_document(with_metrics=not self._by_mesh_metric()) for each in self._store.meshes()]
            return self._list(request, list(map(msgspec.json.encode, documents)))
        if found := _DATAPLANES.fullmatch(request.path):
            mesh = unquote(found["mesh"] or "")
            return self._list(request, self._store.cached(request.path, lambda: self._documents(mesh)))
        if found := _DATAPLANE.fullmatch(request.path):
            return self._dataplane(unquote(found["mesh"]), unquote(found["name"]), found["rules"] or "")
        return self._about_policies(request) if self._version >= _MESH_METRIC_SINCE else None

    def _about_policies(self, request: ServerRequest) -> ServerResponse | None:
        if found := _POLICIES.fullmatch(request.path):
            policies = self._policies(unquote(found["mesh"] or ""))
            return self._list(request, list(map(msgspec.json.encode, policies)))
        if found := _MATCHES.fullmatch(request.path):
            return self._matches(request, unquote(found["mesh"]), unquote(found["name"]))
        return None

    def _by_mesh_metric(self) -> bool:
        # As in the simulator's MADS: before Kuma 3, it sends the labels of Mesh.metrics.
        return self._version >= _THIRD or (self._version >= _MESH_METRIC_SINCE and bool(list(self._clients())))

    def _policies(self, mesh: str) -> list[Document]:
        if not self._by_mesh_metric():
            return []
        clients = sorted(self._clients())
        meshes = [each for each in self._store.meshes() if mesh in ("", each.mesh)]
        return [policy for each in meshes for policy in each.policies(clients)]

    def _index(self) -> Document:
        index = {
            "hostname": "simulator",
            "product": "Kuma",
            "version": ".".join(map(str, self._version)),
            "gui": "/gui",
        }
        return index if self._version >= _THIRD else index | {"tagline": "Kuma"}

    def _matches(self, request: ServerRequest, mesh: str, name: str) -> ServerResponse:
        if all(policy["name"] != name for policy in self._policies(mesh)):
            return _json(404, error_document(404, "Could not retrieve a resource", "Not found"))
        matched = self._store.cached(request.path, lambda: self._matched(mesh, name))
        return self._list(request, matched, always_next=False)

    def _documents(self, mesh: str) -> Iterator[bytes]:
        return (row.document for key, row in self._store.rows().items() if mesh in ("", key[0]))

    def _matched(self, mesh: str, name: str) -> Iterator[bytes]:
        policies, rows = self._mesh(mesh), self._store.rows().items()
        return (row.match for key, row in rows if key[0] == mesh and policies.matches(name, row.dataplane))

    def _mesh(self, mesh: str) -> MetricPolicies:
        return next(each for each in self._store.meshes() if each.mesh == mesh)

    def _dataplane(self, mesh: str, name: str, about: str) -> ServerResponse | None:
        row = self._store.rows().get((mesh, name))
        if row is None:
            return _json(404, error_document(404, "Could not retrieve a resource", "Not found"))
        if not about:
            return ServerResponse(200, [row.document], JSON)
        if self._version < _MESH_METRIC_SINCE:
            return None
        if about == "/_policies":
            return self._refused_policies()
        return _json(200, {"httpMatches": [], "resource": msgspec.Raw(row.match), "rules": self._rules(row)})

    def _refused_policies(self) -> ServerResponse | None:
        # Kuma 2.6 has no such path; later ones want MeshService to be switched on.
        if self._version < _LABELLED_MATCHES_SINCE:
            return None
        return _json(
            400, error_document(400, "Bad Request", "can't use _policies endpoint without meshService enabled")
        )

    def _rules(self, row: Row) -> list[Mapping[str, object]]:
        if not self._by_mesh_metric():
            return []
        policies, mesh = self._mesh(row.dataplane.mesh), row.dataplane.mesh
        conf = policies.conf(MetricsPlace.of(row.dataplane), sorted(self._clients()))
        origin = [{"type": "MeshMetric", "mesh": mesh, "name": name} for name in policies.names(row.dataplane)]
        rule = {"conf": conf, "origin": origin}
        return [{"type": "MeshMetric", "proxyRule": rule, "toRules": [], "fromRules": [], "warnings": []}]

    def _list(self, request: ServerRequest, items: Sequence[bytes], *, always_next: bool = True) -> ServerResponse:
        try:
            page = PageRequest.of(request.query)
        except ValueError as error:
            return _json(400, error_document(400, "Could not retrieve resources", str(error)))
        # As Kuma does, from the host that the client sent.
        url = f"http://{request.headers.get('Host', 'localhost')}{request.path}"
        return ServerResponse(200, [page.cut(items, url, always_next=always_next)], JSON)


def _json(status: int, document: object) -> ServerResponse:
    return ServerResponse(status, [msgspec.json.encode(document)], JSON)
