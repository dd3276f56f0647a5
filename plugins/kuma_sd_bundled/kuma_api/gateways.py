"""Find the MeshGateway of each built-in gateway (Kuma 1.8 to 2), whose name MADS gives as a label."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from kuma_sd import refuse_many_json_values
from kuma_sd_bundled.kuma_api.dataplanes import KnownDataplane
from kuma_sd_bundled.kuma_api.documents import MeshGateway, ResourceKey, Tags
from kuma_sd_bundled.kuma_api.errors import NotFoundError
from kuma_sd_bundled.kuma_api.lists import Get, read_list

_GATEWAY = msgspec.json.Decoder(MeshGateway)

_ANY = "*"


class _Rank(NamedTuple):
    """How specific a selector is; the most specific one that matches counts."""

    exact: int
    wildcards: int


class MeshGateways:
    """The MeshGateways of all meshes.

    Args:
        gateways: their documents.
    """

    def __init__(self, gateways: Iterable[MeshGateway] = ()) -> None:
        self._gateways: dict[str, list[MeshGateway]] = {}
        for gateway in sorted(gateways, key=lambda gateway: gateway.key):
            self._gateways.setdefault(gateway.mesh, []).append(gateway)

    def name_for(self, dataplane: KnownDataplane) -> str:
        """Return the name of the MeshGateway that configures a dataplane; empty for none."""
        if dataplane.gateway_tags is None:
            return ""
        return self._named(dataplane.key.mesh, dataplane.gateway_tags)

    def _named(self, mesh: str, tags: Tags) -> str:
        best, name = None, ""
        for gateway in self._gateways.get(mesh, ()):
            for selector in gateway.selectors or ():
                rank = _rank(selector.match or {}, tags)
                # Of equal ranks, the first one by name counts.
                if rank is not None and (best is None or rank > best):
                    best, name = rank, gateway.name
        return name


def read_gateways(get: Get, dataplanes: Iterable[KnownDataplane]) -> MeshGateways:
    """Read the MeshGateways, if a dataplane is a built-in gateway; releases of Kuma before 1.8 have none.

    Raises:
        SourceError: they cannot be had.
    """
    if all(dataplane.gateway_tags is None for dataplane in dataplanes):
        return MeshGateways()
    try:
        return MeshGateways(read_list(get, "/meshgateways", _read_gateway).items.values())
    except NotFoundError:
        return MeshGateways()


def _read_gateway(raw: msgspec.Raw) -> tuple[ResourceKey, MeshGateway]:
    refuse_many_json_values(raw)
    gateway = _GATEWAY.decode(raw)
    return gateway.key, gateway


def _rank(match: Tags, tags: Tags) -> _Rank | None:
    """Return how specific a selector is; None if it does not match."""
    if any(name not in tags or value not in (_ANY, tags[name]) for name, value in match.items()):
        return None
    values: Sequence[str] = list(match.values())
    return _Rank(len(values) - values.count(_ANY), values.count(_ANY))
