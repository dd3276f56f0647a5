"""Poll the API once: read all lists; inconsistent lists remove no targets."""

from collections.abc import Container, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from hashlib import blake2b

from kuma_sd import Assignment, Key, SourceError
from kuma_sd_bundled.kuma_api.absences import Absences, read_answers
from kuma_sd_bundled.kuma_api.dataplanes import DataplaneReader, KnownDataplane
from kuma_sd_bundled.kuma_api.documents import ResourceKey
from kuma_sd_bundled.kuma_api.endpoints import Client, PolicyEndpoints
from kuma_sd_bundled.kuma_api.gateways import read_gateways
from kuma_sd_bundled.kuma_api.inventory import Inventory, Lists, OutsideZones
from kuma_sd_bundled.kuma_api.kuma_release import UNKNOWN
from kuma_sd_bundled.kuma_api.lists import Get, Listing, Unreadable, read_list
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
from kuma_sd_bundled.kuma_api.remarks import (
    DATAPLANES,
    POLICIES_CHANGED,
    doubts_of,
    doubts_of_matches,
    doubts_of_merged,
    why_empty,
)


@dataclass(frozen=True)
class Findings:
    """The result of a poll.

    Args:
        assignments: the targets, sorted by key.
        left_out: the dataplanes that the settings leave out, since their zone is not one of ``zones``.
        unreadable: the dataplanes of which not even the name can be read, by their digests.
        doubts: why an absence in this poll proves nothing, as text; empty if everything fits together.
        why_empty: why there are no targets, as text; empty if there are some.
        zones: the zones of the dataplanes.
        remote: whether dataplanes belong to other zones, so that this is a global control plane.
        dataplanes: the number of dataplanes.
        policies: the number of policies.
    """

    assignments: Sequence[Assignment]
    left_out: Container[Key]
    unreadable: Mapping[bytes, Unreadable]
    doubts: tuple[str, ...]
    why_empty: str
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
        meshes = read_meshes(get)
        policies = read_policies(get, release)
        dataplanes, gone = self._read_dataplanes(get, third=release.third)
        matches = self._read_matches(get, policies.items, dataplanes)
        doubts = [*doubts_of(meshes, "meshes"), *doubts_of(policies, "policies"), *doubts_of_matches(matches)]
        if not dataplanes.consistent:
            doubts.append(DATAPLANES)
        if matches.listings and read_policies(get, release).items != policies.items:
            doubts.append(POLICIES_CHANGED)
        matched = self._believed(matches, dataplanes, policies)
        sets = _sets(matched, policies.items)
        merged = self._merged.backends(get, policies.items, sets)
        doubts += doubts_of_merged(policies for policies in sets if policies not in merged)
        client = Client(self._client, release.clients_share(bare_matches=matches.bare))
        endpoints = PolicyEndpoints([policy.document for policy in policies.items.values()], client)
        by_name = {mesh.name: mesh for mesh in meshes.items.values()}
        # MADS has this label only where meshes set the metrics.
        labelled = () if endpoints.replace_mesh_metrics else dataplanes.items.values()
        gateways = read_gateways(get, labelled)
        lists = Lists(by_name, endpoints, dataplanes.items, matched, merged, gateways)
        assignments = self._inventory.update(lists, self._kept(dataplanes, gone, doubts))
        self._matched = matched
        return self._findings(assignments, lists, dataplanes.unreadable, doubts)

    def _read_dataplanes(
        self, get: Get, *, third: bool | None
    ) -> tuple[Listing[KnownDataplane], AbstractSet[ResourceKey]]:
        """Read the dataplanes; also returns which targets are certainly gone."""
        self._reader.begin(third=third)
        dataplanes = read_list(get, "/dataplanes", self._reader, self._inventory.targets)
        if dataplanes.unreadable and not dataplanes.items:
            raise SourceError("no dataplane in the list can be understood")
        gone = self._settle_absences(get, dataplanes)
        self._reader.end()
        return dataplanes, gone

    def _settle_absences(self, get: Get, dataplanes: Listing[KnownDataplane]) -> set[ResourceKey]:
        """Add missing dataplanes that still exist; returns those that are gone."""
        missing = self._inventory.targets - dataplanes.items.keys()
        if dataplanes.consistent and not dataplanes.unreadable:
            return set(missing)
        answers = self._absences.ask(get, missing)
        dataplanes.items.update(read_answers(answers.present, self._reader))
        return answers.gone

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
        return read_matches(get, policies, expected)

    def _believed(
        self, matches: Matches, dataplanes: Listing[KnownDataplane], policies: Listing[ReadPolicy]
    ) -> Mapping[ResourceKey, PolicySet]:
        """Return the policies that match each dataplane; earlier matches count where a list proves no absence."""
        listed, doubtful = matches.by_dataplane(), set(matches.inconsistent)
        unproved = bool(doubts_of(policies, "policies"))
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

    def _findings(
        self, assignments: Sequence[Assignment], lists: Lists, unreadable: Sequence[Unreadable], doubts: Sequence[str]
    ) -> Findings:
        known = lists.dataplanes
        zones = frozenset(dataplane.zone for dataplane in known.values() if dataplane.zone)
        wanted = self._inventory.zones
        return Findings(
            assignments=assignments,
            # Zones without any dataplane may be misspelt: then the guard decides.
            left_out=OutsideZones(known, wanted if wanted & zones else frozenset()),
            unreadable={blake2b(item.raw, digest_size=16).digest(): item for item in unreadable},
            doubts=tuple(doubts),
            why_empty="" if assignments else why_empty(known.keys(), zones, wanted, lists.policies),
            zones=zones,
            remote=any(dataplane.remote for dataplane in known.values()),
            dataplanes=len(known),
            policies=lists.policies.count,
        )


def _sets(
    matched: Mapping[ResourceKey, PolicySet], policies: Container[ResourceKey]
) -> dict[PolicySet, list[ResourceKey]]:
    """Collect the sets of policies that occur, each with the dataplanes that it matches."""
    sets: dict[PolicySet, list[ResourceKey]] = {}
    for dataplane, names in matched.items():
        sets.setdefault(names, []).append(dataplane)
    return {names: dataplanes for names, dataplanes in sets.items() if all(name in policies for name in names)}
