"""Poll the API once: read all lists; inconsistent lists remove no targets."""

from collections.abc import Container, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from kuma_sd import Assignment, SourceError
from kuma_sd_bundled.kuma_api.absences import Absences, read_answers
from kuma_sd_bundled.kuma_api.dataplanes import DataplaneReader, KnownDataplane
from kuma_sd_bundled.kuma_api.documents import Mesh, ResourceKey
from kuma_sd_bundled.kuma_api.endpoints import Client, PolicyEndpoints
from kuma_sd_bundled.kuma_api.inventory import Inventory, Lists
from kuma_sd_bundled.kuma_api.kuma_release import UNKNOWN
from kuma_sd_bundled.kuma_api.lists import Get, Listing, ListReader
from kuma_sd_bundled.kuma_api.merged_policies import MergedPolicies
from kuma_sd_bundled.kuma_api.policies import (
    Matches,
    PolicySet,
    ReadPolicy,
    ask_release,
    read_matches,
    read_meshes,
    read_policies,
)

DATAPLANES = "dataplanes"
"""The list whose missing items are requested individually."""


@dataclass(frozen=True)
class Findings:
    """The result of a poll.

    Args:
        assignments: the targets, sorted by key.
        unreadable: digests of the dataplanes of which not even the name can be read.
        doubts: the inconsistent lists, as text.
        zones: the zones of the dataplanes.
        remote: whether dataplanes belong to other zones, so that this is a global control plane.
        dataplanes: the number of dataplanes.
        policies: the number of policies.
    """

    assignments: Sequence[Assignment]
    unreadable: frozenset[bytes]
    doubts: tuple[str, ...]
    zones: frozenset[str]
    remote: bool
    dataplanes: int
    policies: int


class Poller:
    """Polls one control plane for one client; only what changed since the last poll is computed again.

    Args:
        client: the client's name.
        reader: reads dataplanes.
        inventory: holds the targets.
    """

    def __init__(self, client: str, reader: DataplaneReader, inventory: Inventory) -> None:
        self._client = client
        self._reader = reader
        self._inventory = inventory
        self._release = UNKNOWN
        self._lists = ListReader()
        self._merged = MergedPolicies()
        self._absences = Absences()
        self._matched: Mapping[ResourceKey, PolicySet] = {}

    def poll(self, get: Get) -> Findings:
        """Read all lists once.

        Args:
            get: sends a request to the API server.

        Raises:
            SourceError: a request failed, or a response is not one of Kuma's API.
        """
        release = self._release = ask_release(get, self._release)
        meshes = read_meshes(self._lists, get)
        policies = read_policies(self._lists, get, release)
        dataplanes, gone = self._read_dataplanes(get, third=release.third)
        matches = self._read_matches(get, policies.items, dataplanes)
        doubts = _doubts(meshes, policies, dataplanes, matches)
        if matches.listings and read_policies(self._lists, get, release).items != policies.items:
            doubts.append("policies changed meanwhile")
        matched = self._believed(matches, dataplanes, policies)
        sets = _sets(matched, policies.items)
        merged = self._merged.backends(get, policies.items, sets)
        doubts += [f"_rules of {', '.join(key.name for key in names)}" for names in sets if names not in merged]
        client = Client(self._client, release.clients_share(bare_matches=matches.bare))
        endpoints = PolicyEndpoints([policy.document for policy in policies.items.values()], client)
        by_name = {mesh.name: mesh for mesh in meshes.items.values()}
        lists = Lists(by_name, endpoints, dataplanes.items, matched, merged)
        assignments = self._inventory.update(lists, self._kept(dataplanes, gone, doubts))
        self._matched = matched
        return _findings(assignments, dataplanes, len(policies.items), doubts)

    def _read_dataplanes(
        self, get: Get, *, third: bool | None
    ) -> tuple[Listing[KnownDataplane], AbstractSet[ResourceKey]]:
        """Read the dataplanes; also returns which targets are certainly gone."""
        self._reader.begin(third=third)
        dataplanes = self._lists.read(get, "/dataplanes", self._reader, self._inventory.targets)
        if dataplanes.unreadable and not dataplanes.items:
            raise SourceError("no dataplane in the list can be understood")
        gone = self._settle_absences(get, dataplanes)
        self._reader.end()
        return dataplanes, gone

    def _settle_absences(self, get: Get, dataplanes: Listing[KnownDataplane]) -> set[ResourceKey]:
        """Add missing dataplanes that still exist; returns those that are gone."""
        missing = self._inventory.targets - dataplanes.items.keys()
        proved = dataplanes.consistent and not dataplanes.unreadable
        if proved and dataplanes.fits:
            return set(missing)
        answers = self._absences.ask(get, missing)
        dataplanes.items.update(read_answers(answers.present, self._reader))
        return missing - dataplanes.items.keys() if proved else answers.gone

    def _read_matches(
        self, get: Get, policies: Mapping[ResourceKey, ReadPolicy], dataplanes: Listing[KnownDataplane]
    ) -> Matches:
        client = Client(self._client, shares=False)
        if not PolicyEndpoints([policy.document for policy in policies.values()], client).replace_mesh_metrics:
            return Matches()
        expected: dict[ResourceKey, set[ResourceKey]] = {}
        for dataplane, names in self._matched.items():
            if dataplane in dataplanes.items:
                for name in names:
                    expected.setdefault(name, set()).add(dataplane)
        return read_matches(self._lists, get, policies, expected)

    def _believed(
        self, matches: Matches, dataplanes: Listing[KnownDataplane], policies: Listing[ReadPolicy]
    ) -> Mapping[ResourceKey, PolicySet]:
        """Return the policies that match each dataplane; earlier matches count where a list proves no absence."""
        listed, doubtful = matches.by_dataplane(), set(matches.inconsistent)
        unproved = bool(_doubts_of(policies, "policies"))
        matched = {}
        for dataplane in dataplanes.items.values():
            # With the keys of dataplanes, so that the keys in the lists need not be kept.
            now, before = listed.get(dataplane.key, ()), self._matched.get(dataplane.key, ())
            # Also for a policy that is missing in a list that proves nothing: then its targets stay.
            missed = {name for name in before if name in doubtful or (unproved and name not in policies.items)}
            if now or missed:
                matched[dataplane.key] = tuple(sorted({*now, *missed})) if missed.difference(now) else now
        return matched

    def _kept(
        self, dataplanes: Listing[KnownDataplane], gone: AbstractSet[ResourceKey], doubts: Sequence[str]
    ) -> set[ResourceKey]:
        """Return the targets that must stay, since nothing proves that they are gone."""
        only_dataplanes = set(doubts) <= {DATAPLANES}
        unproved = self._inventory.targets - gone
        return set(unproved - dataplanes.items.keys() if only_dataplanes else unproved)


def _doubts(
    meshes: Listing[Mesh], policies: Listing[ReadPolicy], dataplanes: Listing[KnownDataplane], matches: Matches
) -> list[str]:
    doubts = [*_doubts_of(meshes, "meshes"), *_doubts_of(policies, "policies")]
    if not dataplanes.consistent:
        doubts.append(DATAPLANES)
    return doubts + [f"matches of {key.mesh}/{key.name}" for key in matches.inconsistent]


def _doubts_of(listing: Listing[Any], name: str) -> list[str]:
    return [] if listing.consistent and not listing.unreadable else [name]


def _sets(
    matched: Mapping[ResourceKey, PolicySet], policies: Container[ResourceKey]
) -> dict[PolicySet, list[ResourceKey]]:
    """Collect the sets of policies that occur, each with the dataplanes that it matches."""
    sets: dict[PolicySet, list[ResourceKey]] = {}
    for dataplane, names in matched.items():
        sets.setdefault(names, []).append(dataplane)
    return {names: dataplanes for names, dataplanes in sets.items() if all(name in policies for name in names)}


def _findings(
    assignments: Sequence[Assignment], dataplanes: Listing[KnownDataplane], policies: int, doubts: Sequence[str]
) -> Findings:
    known = dataplanes.items.values()
    return Findings(
        assignments=assignments,
        unreadable=frozenset(blake2b(raw, digest_size=16).digest() for raw in dataplanes.unreadable),
        doubts=tuple(doubts),
        zones=frozenset(dataplane.zone for dataplane in known if dataplane.zone),
        remote=any(dataplane.remote for dataplane in known),
        dataplanes=len(known),
        policies=policies,
    )
