"""Build the documents of dataplanes in the API."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kuma_sd.simulator.dataplane import Dataplane

Document = dict[str, Any]

_KNOWN_TAGS = {"team_name": "team.name", "9lives_cat": "9lives/cat"}
_KUMA = "kuma_io_"


class ApiFlavour(NamedTuple):
    """How a control plane describes dataplanes.

    Args:
        third: whether it is Kuma 3, which has labels in place of tags.
        kubernetes: whether it runs on Kubernetes, where names are ``POD.NAMESPACE``.
        zones: the zones that a global control plane knows; empty for a control plane of one zone.
    """

    third: bool = False
    kubernetes: bool = False
    zones: Sequence[str] = ()

    @property
    def on_global(self) -> bool:
        """Whether this is a global control plane."""
        return bool(self.zones)

    def zone_of(self, dataplane: Dataplane) -> str:
        """Return the zone of a dataplane."""
        return self.zones[_digest(dataplane)[0] % len(self.zones)] if self.zones else "zone-1"

    def name_in_zone(self, dataplane: Dataplane) -> str:
        """Return the name of a dataplane in its zone."""
        # If MADS is served too, both use the same name.
        if self.kubernetes and self.third and "." not in dataplane.name:
            return f"{dataplane.name}.{dataplane.mesh}"
        return dataplane.name

    def name(self, dataplane: Dataplane) -> str:
        """Return the name of a dataplane in the API."""
        in_zone = self.name_in_zone(dataplane)
        if not self.on_global:
            return in_zone
        return f"{in_zone.partition('.')[0]}-{_digest(dataplane).hex()[:16]}"


def dataplane_document(dataplane: Dataplane, flavour: ApiFlavour, modified: str) -> Document:
    """Build the document of a dataplane.

    Args:
        dataplane: the dataplane.
        flavour: how the control plane describes dataplanes.
        modified: when it was changed last.
    """
    inbounds = inbound_tags(dataplane)
    if flavour.on_global:
        inbounds = [{**tags, "kuma.io/zone": flavour.zone_of(dataplane)} for tags in inbounds]
    ports = ({"port": 8080 + place, "servicePort": 18080 + place} for place in range(len(inbounds)))
    shown = [port if flavour.third else {**port, "tags": tags} for port, tags in zip(ports, inbounds, strict=True)]
    host = dataplane.address.rpartition(":")[0].strip("[]")
    return {
        "type": "Dataplane",
        "mesh": dataplane.mesh,
        "name": flavour.name(dataplane),
        "creationTime": modified,
        "modificationTime": modified,
        "labels": meta_labels(dataplane, flavour),
        "networking": {"address": host, "inbound": shown},
    }


def meta_labels(dataplane: Dataplane, flavour: ApiFlavour) -> dict[str, str]:
    """Return the labels of a dataplane; Kuma 3 has labels in place of tags."""
    in_zone = flavour.name_in_zone(dataplane)
    namespace = dataplane.labels.get("k8s_kuma_io_namespace", "")
    if flavour.kubernetes and "." in in_zone:
        namespace = in_zone.rpartition(".")[2]
    labels = {
        "kuma.io/display-name": in_zone.removesuffix(f".{namespace}"),
        "kuma.io/env": "kubernetes" if flavour.kubernetes else "universal",
        "kuma.io/mesh": dataplane.mesh,
        "kuma.io/origin": "zone",
        "kuma.io/zone": flavour.zone_of(dataplane),
    }
    if namespace:
        labels |= {"k8s.kuma.io/namespace": namespace, "kuma.io/env": "kubernetes"}
    if flavour.third:
        tags = inbound_tags(dataplane)[0]
        labels |= {name: value for name, value in tags.items() if not name.startswith("kuma.io/")}
        labels["app"] = dataplane.service
    return labels


def inbound_tags(dataplane: Dataplane) -> list[dict[str, str]]:
    """Return the tags of each inbound, derived from labels, since a world holds only labels.

    A tag gives two labels, ``NAME`` and ``NAMEs``; the original name of a tag can only be guessed.
    """
    values = {_tag(name): _values(dataplane.labels, name) for name in dataplane.labels}
    values = {name: several for name, several in values.items() if several}
    values.setdefault("kuma.io/service", [dataplane.service])
    count = max(map(len, values.values()))
    return [
        {name: several[place] for name, several in values.items() if place < len(several)} for place in range(count)
    ]


def _values(labels: Mapping[str, str], name: str) -> list[str]:
    plural = labels.get(f"{name}s", "")
    return plural[1:-1].split(",") if plural.startswith(",") and plural.endswith(",") else []


def _tag(label: str) -> str:
    if label in _KNOWN_TAGS:
        return _KNOWN_TAGS[label]
    return f"kuma.io/{label.removeprefix(_KUMA)}" if label.startswith(_KUMA) else label


def _digest(dataplane: Dataplane) -> bytes:
    return hashlib.blake2b(f"{dataplane.mesh}/{dataplane.name}".encode(), digest_size=8).digest()
