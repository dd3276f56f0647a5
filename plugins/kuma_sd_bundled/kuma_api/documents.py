"""What Kuma's API server answers, as far as it matters for targets; everything else in a document is skipped."""

from typing import NamedTuple

import msgspec

Tags = dict[str, str]


class ResourceKey(NamedTuple):
    """What tells one resource of a kind from the others."""

    mesh: str
    name: str


class Index(msgspec.Struct):
    """What ``GET /`` answers."""

    version: str = ""
    based_on_kuma: str = msgspec.field(default="", name="basedOnKuma")
    tagline: str | None = None


class Page(msgspec.Struct):
    """One page of a list; ``next`` is a URL, or null on the last page."""

    items: list[msgspec.Raw] | None
    total: int
    next: str | None = None


class ItemIdentity(msgspec.Struct):
    """What every item of a list has. Meshes belong to no mesh."""

    name: str
    mesh: str = ""
    labels: msgspec.Raw = msgspec.Raw(b"")

    @property
    def key(self) -> ResourceKey:
        """What tells it from the others."""
        return ResourceKey(self.mesh, self.name)


class Tls(msgspec.Struct):
    """How metrics are encrypted: a mode of MeshMetric, or one of Mesh.metrics."""

    mode: str | None = None


class Prometheus(msgspec.Struct, frozen=True):
    """Where a MeshMetric lets Prometheus find metrics."""

    port: int = 5670
    path: str = "/metrics"
    client_id: str | None = msgspec.field(default=None, name="clientId")
    tls: Tls | None = None


class Backend(msgspec.Struct, frozen=True):
    """One backend of a MeshMetric; of kinds other than Prometheus only the kind is read."""

    type: str
    prometheus: Prometheus | None = None


class MetricConf(msgspec.Struct, frozen=True):
    """What a MeshMetric sets. Backends that are absent leave those of other policies as they are."""

    backends: list[Backend] | None = None


class _PolicySpec(msgspec.Struct):
    default: MetricConf | None = None


class Policy(msgspec.Struct):
    """A MeshMetric."""

    name: str
    mesh: str
    type: str = "MeshMetric"
    labels: Tags | None = None
    spec: _PolicySpec = msgspec.field(default_factory=_PolicySpec)

    @property
    def key(self) -> ResourceKey:
        """What tells it from the others."""
        return ResourceKey(self.mesh, self.name)

    @property
    def backends(self) -> list[Backend] | None:
        """What it sets."""
        return self.spec.default.backends if self.spec.default else None

    @property
    def shadow(self) -> bool:
        """Whether it is there to be looked at only."""
        return (self.labels or {}).get("kuma.io/effect") == "shadow"


class MeshBackendConf(msgspec.Struct):
    """Where Mesh.metrics lets Prometheus find metrics; a dataplane's own replaces what it sets."""

    port: int | None = None
    path: str | None = None
    tls: Tls | None = None


class MeshBackend(msgspec.Struct):
    """A metrics backend of a mesh."""

    name: str = ""
    type: str = ""
    conf: MeshBackendConf | None = None


class _MeshMetrics(msgspec.Struct):
    enabled: str = msgspec.field(default="", name="enabledBackend")
    backends: list[MeshBackend] | None = None


class Mesh(msgspec.Struct):
    """A mesh, with the metrics that Kuma 2 may set there."""

    name: str
    metrics: _MeshMetrics | None = None


class Inbound(msgspec.Struct):
    """One port of a dataplane that receives traffic."""

    tags: Tags | None = None


class Networking(msgspec.Struct):
    """Where a dataplane is, and what its tags are."""

    address: str = ""
    advertised_address: str = msgspec.field(default="", name="advertisedAddress")
    inbound: list[Inbound] | None = None
    gateway: Inbound | None = None


class DataplaneDocument(msgspec.Struct):
    """A dataplane."""

    name: str
    mesh: str
    labels: Tags | None = None
    networking: Networking = msgspec.field(default_factory=Networking)
    metrics: MeshBackend | None = None


class _Origin(msgspec.Struct):
    name: str = ""


class _ProxyRule(msgspec.Struct):
    conf: MetricConf
    origin: list[_Origin] | None = None


class PolicyRule(msgspec.Struct):
    """What all policies of one kind together mean for a dataplane."""

    type: str = ""
    proxy_rule: _ProxyRule | None = msgspec.field(default=None, name="proxyRule")


class Rules(msgspec.Struct):
    """What all policies mean for a dataplane."""

    rules: list[PolicyRule]
