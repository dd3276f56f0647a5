"""Request the merged result of several policies for a dataplane, once for each set of policies."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

import msgspec

from kuma_sd import UNREADABLE, SourceError, problem_shown, refuse_many_json_values
from kuma_sd_bundled.kuma_api.documents import Backend, ResourceKey, Rules
from kuma_sd_bundled.kuma_api.errors import NotFoundError
from kuma_sd_bundled.kuma_api.lists import Get
from kuma_sd_bundled.kuma_api.policies import PolicySet, ReadPolicy, quoted

_RULES = msgspec.json.Decoder(Rules)

SAMPLES = 3
"""Maximum number of dataplanes that are tried for a set, since any may have just been deleted."""


class MergedPolicies:
    """Caches the merged result of sets of policies until a policy of the set changes."""

    def __init__(self) -> None:
        self._known: dict[PolicySet, tuple[tuple[ReadPolicy, ...], Sequence[Backend]]] = {}

    def backends(
        self, get: Get, policies: Mapping[ResourceKey, ReadPolicy], sets: Mapping[PolicySet, Iterable[ResourceKey]]
    ) -> dict[PolicySet, Sequence[Backend]]:
        """Return the backends of each set of policies; a set is missing if no dataplane could be requested.

        Args:
            get: sends a request to the API server.
            policies: all policies.
            sets: the sets that occur, each with dataplanes that it matches.

        Raises:
            SourceError: a response is wrong.
        """
        found: dict[PolicySet, Sequence[Backend]] = {}
        known = {}
        for names, dataplanes in sets.items():
            documents = tuple(policies[name] for name in names)
            before = self._known.get(names)
            if len(names) == 1:
                found[names] = documents[0].document.backends or ()
            elif before and before[0] == documents:
                found[names], known[names] = before[1], before
            else:
                backends, certain = self._ask(get, names, dataplanes)
                if backends is not None:
                    found[names] = backends
                if backends is not None and certain:
                    known[names] = (documents, backends)
        self._known = known
        return found

    @staticmethod
    def _ask(get: Get, names: PolicySet, dataplanes: Iterable[ResourceKey]) -> tuple[Sequence[Backend] | None, bool]:
        """Return the backends, and whether they come from exactly these policies."""
        wanted = {name.name for name in names}
        for dataplane in islice(dataplanes, SAMPLES):
            path = f"/meshes/{quoted(dataplane.mesh)}/dataplanes/{quoted(dataplane.name)}/_rules"
            try:
                rules = _parse(get(path), path)
            except NotFoundError:
                continue
            for rule in rules.rules:
                if rule.type == "MeshMetric" and rule.proxy_rule:
                    origins = {origin.name for origin in rule.proxy_rule.origin or ()}
                    return rule.proxy_rule.conf.backends or (), wanted <= origins
        return None, False


def _parse(body: bytes | bytearray, path: str) -> Rules:
    try:
        refuse_many_json_values(body)
        return _RULES.decode(body)
    except UNREADABLE as error:
        raise SourceError(f"the answer to {path} cannot be read: {problem_shown(error)}") from error
