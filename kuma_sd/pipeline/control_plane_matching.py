"""Match the control planes of new settings with those of the old settings."""

import re
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from typing import NamedTuple, TypeVar

Old = TypeVar("Old", bound=Hashable)
New = TypeVar("New", bound=Hashable)

_DEFAULT_PORTS = {"grpc": 5676, "grpcs": 5676, "http": 80, "https": 443}


class Identity(NamedTuple):
    """Identifies a control plane across changes of the settings.

    Args:
        name: its name in the settings; empty for a single one without a name.
        endpoints: the endpoints of its replicas.
    """

    name: str
    endpoints: frozenset[str]


def endpoints_of(address: str) -> frozenset[str]:
    """Return the endpoints of an address; scheme, user, order of replicas and the default port do not count."""
    scheme, _, rest = address.partition(":")
    netloc, slash, path = rest.removeprefix("//").partition("/")
    hosts = netloc.rpartition("@")[2].lower().split(",")
    port = _DEFAULT_PORTS.get(scheme)
    full = [f"{host}:{port}" if port and not re.search(r":\d+$", host) else host for host in hosts]
    return frozenset(f"{host}{slash}{path}".rstrip("/") for host in full)


def match(old: Mapping[Old, Identity], new: Mapping[New, Identity]) -> dict[New, Old]:
    """Match control planes one to one.

    Those of equal name and endpoints belong together; then those whose endpoints intersect, where that is unique on
    both sides; then those of equal name; then one whose endpoints nobody knows, since it was found in a published file
    only, and the one that is left.

    Args:
        old: the identities of the known control planes.
        new: the identities of those in the settings.

    Returns:
        The known control plane for each new one that has a match.
    """
    matched: dict[New, Old] = {}
    _match_unique(old, new, matched, lambda before, after: before == after)
    _match_unique(old, new, matched, lambda before, after: not before.endpoints.isdisjoint(after.endpoints))
    _match_unique(old, new, matched, lambda before, after: before.name == after.name)
    _match_unique(old, new, matched, lambda before, _after: not before.endpoints)
    return matched


def _match_unique(
    old: Mapping[Old, Identity],
    new: Mapping[New, Identity],
    matched: dict[New, Old],
    fits: Callable[[Identity, Identity], bool],
) -> None:
    """Add the pairs that are not matched yet and fit only each other."""
    taken = set(matched.values())
    free_old = {key: identity for key, identity in old.items() if key not in taken}
    free_new = {key: identity for key, identity in new.items() if key not in matched}
    candidates = {
        key: [other for other, before in free_old.items() if fits(before, identity)]
        for key, identity in free_new.items()
    }
    claims = Counter(other for others in candidates.values() for other in others)
    for key, others in candidates.items():
        if len(others) == 1 and claims[others[0]] == 1:
            matched[key] = others[0]
