"""Types of the documents of Kuma's API, with the fields that matter for targets; others are skipped."""

from collections.abc import Sequence
from itertools import takewhile
from typing import Any, NamedTuple

import msgspec

Tags = dict[str, str]


class ResourceKey(NamedTuple):
    """The identity of a resource among those of its kind."""

    mesh: str
    name: str


class Index(msgspec.Struct):
    """The response to ``GET /``."""

    version: str = ""
    based_on_kuma: str = msgspec.field(default="", name="basedOnKuma")
    tagline: str | None = None


PAGE_SIZE = 1000
"""Number of items in a page; Kuma refuses more."""

_NOTHING = msgspec.Raw(b"")

# A list of Python would take whatever number of items the server sends. A structure of so many places ends with the
# first item beyond them.
_Items: Any = msgspec.defstruct(
    "_Items",
    [(f"item_{place}", msgspec.Raw, msgspec.field(default=_NOTHING)) for place in range(PAGE_SIZE)],
    array_like=True,
    forbid_unknown_fields=True,
)


class _Page(msgspec.Struct):
    items: _Items | None
    total: int
    next: str | None = None


_PAGE = msgspec.json.Decoder(_Page)


class Page(NamedTuple):
    """One page of a list; ``next`` is a URL, or None on the last page."""

    items: Sequence[msgspec.Raw]
    total: int
    next: str | None = None

    @classmethod
    def parse(cls, body: bytes | bytearray) -> "Page":
        """Parse a page.

        Raises:
            msgspec.MsgspecError: it is none, or has more items than were asked for.
        """
        page = _PAGE.decode(body)
        items = msgspec.structs.astuple(page.items) if page.items else ()
        return cls([*takewhile(lambda item: item is not _NOTHING, items)], page.total, page.next)


class ItemIdentity(msgspec.Struct):
    """The fields that identify an item of a list. Meshes have no mesh."""

    name: str
    mesh: str = ""
    labels: msgspec.Raw = msgspec.Raw(b"")

    @property
    def key(self) -> ResourceKey:
        """Its identity."""
        return ResourceKey(self.mesh, self.name)


class Tls(msgspec.Struct):
    """The TLS mode of metrics, of MeshMetric or Mesh.metrics."""

    mode: str | None = None


class Prometheus(msgspec.Struct, frozen=True):
    """The Prometheus endpoint that a MeshMetric sets."""

    port: int = 5670
    path: str = "/metrics"
    client_id: str | None = msgspec.field(default=None, name="clientId")
    tls: Tls | None = None


class Backend(msgspec.Struct, frozen=True):
    """One backend of a MeshMetric; for other types than Prometheus, only the type is read."""

    type: str
    prometheus: Prometheus | None = None


class MetricConf(msgspec.Struct, frozen=True):
    """The settings of a MeshMetric. Absent backends do not override those of other policies."""

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
        """Its identity."""
        return ResourceKey(self.mesh, self.name)

    @property
    def backends(self) -> list[Backend] | None:
        """Its settings."""
        return self.spec.default.backends if self.spec.default else None

    @property
    def shadow(self) -> bool:
        """Whether it is a shadow policy, which has no effect."""
        return (self.labels or {}).get("kuma.io/effect") == "shadow"


class MeshBackendConf(msgspec.Struct):
    """The Prometheus endpoint of Mesh.metrics; a dataplane's own settings override its fields."""

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


class Gateway(Inbound):
    """What makes a dataplane a gateway; a built-in one is configured by a MeshGateway."""

    type: str = ""


class Networking(msgspec.Struct):
    """The address and the tags of a dataplane."""

    address: str = ""
    advertised_address: str = msgspec.field(default="", name="advertisedAddress")
    inbound: list[Inbound] | None = None
    gateway: Gateway | None = None


class DataplaneDocument(msgspec.Struct):
    """A dataplane."""

    name: str
    mesh: str
    labels: Tags | None = None
    networking: Networking = msgspec.field(default_factory=Networking)
    metrics: MeshBackend | None = None


class Selector(msgspec.Struct):
    """The tags that a dataplane must have; ``*`` stands for any value."""

    match: Tags | None = None


class MeshGateway(msgspec.Struct):
    """The configuration of built-in gateways (Kuma 1.8 to 2)."""

    name: str
    mesh: str
    selectors: list[Selector] | None = None

    @property
    def key(self) -> ResourceKey:
        """Its identity."""
        return ResourceKey(self.mesh, self.name)


class _Origin(msgspec.Struct):
    name: str = ""


class _ProxyRule(msgspec.Struct):
    conf: MetricConf
    origin: list[_Origin] | None = None


class PolicyRule(msgspec.Struct):
    """The merged result of all policies of one kind for a dataplane."""

    type: str = ""
    proxy_rule: _ProxyRule | None = msgspec.field(default=None, name="proxyRule")


class Rules(msgspec.Struct):
    """The merged results of all policies for a dataplane."""

    rules: list[PolicyRule]
