"""Read the version of the API server, meshes, policies, and the dataplanes that policies match."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import quote

import msgspec

from kuma_sd import UNREADABLE, SourceError, refuse_many_json_values
from kuma_sd_bundled.kuma_api.documents import Index, ItemIdentity, Mesh, Policy, ResourceKey
from kuma_sd_bundled.kuma_api.errors import NotFoundError
from kuma_sd_bundled.kuma_api.kuma_release import KumaRelease, release_of
from kuma_sd_bundled.kuma_api.lists import Get, Listing, read_list

_INDEX = msgspec.json.Decoder(Index)
_MESH = msgspec.json.Decoder(Mesh)
_POLICY = msgspec.json.Decoder(Policy)
_IDENTITY = msgspec.json.Decoder(ItemIdentity)

_MESH_METRIC_SINCE = (2, 6)


class ReadPolicy(NamedTuple):
    """A policy with its bytes, which are compared to detect edits."""

    document: Policy
    raw: bytes


PolicySet = tuple[ResourceKey, ...]
"""The policies that match a dataplane, in order."""


@dataclass(frozen=True)
class Matches:
    """The dataplanes that policies match.

    Args:
        listings: the dataplanes that each policy matches, for policies that set where metrics are.
        bare: whether matched dataplanes are listed without their labels, as Kuma 2.6 does.
        unknown: the policies of which the API server has no such list.
    """

    listings: Mapping[ResourceKey, Listing[None]] = field(default_factory=dict)
    bare: bool = False
    unknown: AbstractSet[ResourceKey] = frozenset()

    @property
    def inconsistent(self) -> list[ResourceKey]:
        """The policies whose lists are inconsistent."""
        return [key for key, listing in self.listings.items() if not listing.consistent or listing.unreadable]

    def by_dataplane(self) -> dict[ResourceKey, PolicySet]:
        """Return the policies that match each dataplane."""
        found: dict[ResourceKey, PolicySet] = {}
        # Most dataplanes are matched by the same policies: equal sets are one object.
        shared: dict[PolicySet, PolicySet] = {}
        for policy in sorted(self.listings):
            for dataplane in self.listings[policy].items:
                policies = (*found.get(dataplane, ()), policy)
                found[dataplane] = shared.setdefault(policies, policies)
        return found


def ask_release(get: Get, before: KumaRelease) -> KumaRelease:
    """Request the release of Kuma.

    Args:
        get: sends a request to the API server.
        before: the last known release, used if a gateway blocks the request.

    Raises:
        SourceError: there is no response.
    """
    try:
        return release_of(_INDEX.decode(get("/")))
    except (NotFoundError, *UNREADABLE):
        return before


def read_meshes(get: Get) -> Listing[Mesh]:
    """Read the meshes.

    Raises:
        SourceError: they cannot be had.
    """
    return read_list(get, "/meshes", _read_mesh)


def read_policies(get: Get, release: KumaRelease) -> Listing[ReadPolicy]:
    """Read the MeshMetric policies of all meshes; releases of Kuma before 2.6 have none.

    Raises:
        SourceError: they cannot be had.
    """
    try:
        listing = read_list(get, "/meshmetrics", _read_policy)
    except NotFoundError as error:
        if release.number and release.number >= _MESH_METRIC_SINCE:
            raise SourceError(
                f"{error}, which every Kuma since 2.6 has; is cp-address that of the API server (port 5681)?"
            ) from error
        return Listing()
    listing.items = {key: policy for key, policy in listing.items.items() if policy.document.type == "MeshMetric"}
    return listing


def read_matches(
    get: Get, policies: Mapping[ResourceKey, ReadPolicy], expected: Mapping[ResourceKey, AbstractSet[ResourceKey]]
) -> Matches:
    """Read which dataplanes are matched by the policies that have a say in where metrics are.

    Args:
        get: asks the API server.
        policies: all policies.
        expected: the dataplanes that each matched before and that are still there.

    Raises:
        SourceError: a list cannot be had.
    """
    listings: dict[ResourceKey, Listing[None]] = {}
    unknown = set[ResourceKey]()
    reader = _MatchReader()
    for key, policy in policies.items():
        if policy.document.shadow or policy.document.backends is None:
            continue
        path = f"/meshes/{quoted(key.mesh)}/meshmetrics/{quoted(key.name)}/_resources/dataplanes"
        try:
            listings[key] = read_list(get, path, reader, expected.get(key, frozenset()))
        except NotFoundError:
            # The policy was deleted after policies were listed.
            listings[key] = Listing(consistent=False)
            unknown.add(key)
    return Matches(listings, reader.read and not reader.labelled, unknown)


def quoted(name: str) -> str:
    """Quote a name for a path."""
    return quote(name, safe="")


class _MatchReader:
    """Reads the items of lists of matched dataplanes."""

    def __init__(self) -> None:
        self.read = False
        self.labelled = False

    def __call__(self, raw: msgspec.Raw) -> tuple[ResourceKey, None]:
        identity = _IDENTITY.decode(raw)
        self.read = True
        self.labelled = self.labelled or bool(bytes(identity.labels))
        return identity.key, None


def _read_mesh(raw: msgspec.Raw) -> tuple[ResourceKey, Mesh]:
    refuse_many_json_values(raw)
    mesh = _MESH.decode(raw)
    return ResourceKey("", mesh.name), mesh


def _read_policy(raw: msgspec.Raw) -> tuple[ResourceKey, ReadPolicy]:
    refuse_many_json_values(raw)
    policy = _POLICY.decode(raw)
    return policy.key, ReadPolicy(policy, bytes(raw))
