"""Explain in words what the lists of a poll do not prove, and why they give no targets."""

from collections.abc import Collection, Iterable
from typing import Any

from kuma_sd_bundled.kuma_api.documents import ResourceKey
from kuma_sd_bundled.kuma_api.endpoints import PolicyEndpoints
from kuma_sd_bundled.kuma_api.lists import Listing
from kuma_sd_bundled.kuma_api.policies import Matches, PolicySet

DATAPLANES = "the pages of the list of dataplanes do not fit together"
"""Doubt about the list whose missing items are requested individually."""

POLICIES_CHANGED = "policies changed while the lists were read"

MOST_NAMES = 5
"""Maximum number of names in a text."""


def doubts_of(listing: Listing[Any], noun: str) -> list[str]:
    """Return why the absence of an item in a list of meshes or policies proves nothing."""
    doubts = [] if listing.consistent else [f"the pages of the list of {noun} do not fit together"]
    return [*doubts, *(f"{noun}: {item}" for item in listing.unreadable)]


def doubts_of_matches(matches: Matches) -> list[str]:
    """Return which lists of matched dataplanes prove no absence."""
    return [
        f"the API does not say what policy {key.mesh}/{key.name} matches (HTTP status 404)"
        if key in matches.unknown
        else f"the pages of the list of what policy {key.mesh}/{key.name} matches do not fit together"
        for key in matches.inconsistent
    ]


def doubts_of_merged(unmerged: Iterable[PolicySet]) -> list[str]:
    """Return which sets of policies have a result that is not known."""
    return [
        f"the API does not say what the policies {names(key.name for key in policies)} of mesh {policies[0].mesh} make "
        "together (no _rules, which Kuma has since 2.6)"
        for policies in unmerged
    ]


def why_empty(
    dataplanes: Collection[ResourceKey], zones: Collection[str], wanted: Collection[str], policies: PolicyEndpoints
) -> str:
    """Explain why there are no targets.

    Args:
        dataplanes: all dataplanes.
        zones: the zones of the dataplanes.
        wanted: the zones in the settings; empty for all.
        policies: the effect of the policies for the client.
    """
    if not dataplanes:
        return "the API lists no dataplane"
    if wanted and not set(wanted) & set(zones):
        return f"no dataplane is in 'zones' ({names(wanted)}); there are {names(zones) or 'none with a zone'}"
    client = f"the client {policies.client.name!r}"
    if policies.for_client:
        return f"no policy (MeshMetric) with metrics for {client} matches a dataplane"
    others = f" (name), only for {names(map(repr, policies.clients))}" if policies.clients else ""
    if policies.replace_mesh_metrics:
        return f"no policy (MeshMetric) has metrics for {client}{others}"
    return f"no policy (MeshMetric) has metrics for {client}{others}, and no mesh has metrics"


def names(several: Iterable[str]) -> str:
    """Return the first names in order, and how many more there are."""
    ordered = sorted(several)
    more = len(ordered) - MOST_NAMES
    return ", ".join(ordered[:MOST_NAMES]) + (f" and {more:,} more" if more > 0 else "")
