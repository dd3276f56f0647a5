"""Compute the name, service and labels of a dataplane, equal to those in MADS as far as MADS has them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from kuma_sd import Labels
from kuma_sd_bundled.kuma_api.documents import DataplaneDocument, Tags

UNKNOWN_SERVICE = "unknown"
"""Kuma's name for the service of a dataplane without one."""

SERVICE_TAG = "kuma.io/service"
WORKLOAD = "kuma.io/workload"
ZONE = "kuma.io/zone"

_DISPLAY_NAME = "kuma.io/display-name"
_NAMESPACE = "k8s.kuma.io/namespace"
_ENVIRONMENT = "kuma.io/env"
_INVALID = re.compile("[^a-zA-Z0-9_]")


class DataplaneDescription(NamedTuple):
    """The facts about a dataplane, without its metrics endpoint.

    Args:
        name: its name in its zone.
        service: its service, as in MADS.
        job: the value of Prometheus's label ``job``.
        zone: its zone; empty if not known.
        labels: its labels.
    """

    name: str
    service: str
    job: str
    zone: str
    labels: Labels


def describe(
    dataplane: DataplaneDocument, service_labels: Sequence[str], *, third: bool | None
) -> DataplaneDescription:
    """Describe a dataplane.

    Args:
        dataplane: its document in the API.
        service_labels: the labels that name its job if its service is not known; the first present one counts.
        third: whether it is one of Kuma 3, which has labels in place of tags; None if not known.
    """
    own = dataplane.labels or {}
    inbounds = [inbound.tags or {} for inbound in dataplane.networking.inbound or ()]
    gateway = dataplane.networking.gateway
    tags = _values([*inbounds, (gateway.tags if gateway else None) or {}])
    # While zones are upgraded one after the other, a Kuma 3 also knows dataplanes with tags.
    third = third and not any(inbounds)
    by_labels = third or (not any(inbounds) and (third is None or bool(inbounds)))
    service = _service(own, tags, by_labels=bool(by_labels), third=bool(third))
    first = {name: values[0] for name, values in tags.items()}
    zone = own.get(ZONE) or first.get(ZONE, "")
    namespace = own.get(_NAMESPACE) or first.get(_NAMESPACE, "")
    name = name_in_zone(dataplane.name, own.get(_DISPLAY_NAME, ""), namespace)
    labels = _labels(tags | {name: [value] for name, value in own.items()} if by_labels else tags)
    labels |= _kubernetes_labels(name, namespace, kubernetes=own.get(_ENVIRONMENT) == "kubernetes")
    return DataplaneDescription(name, service, _job(service, (own, first), service_labels), zone, labels)


def name_in_zone(name: str, display_name: str, namespace: str) -> str:
    """Return the name of a dataplane in its zone; a global control plane appends a hash to the name.

    Args:
        name: its name in the API.
        display_name: the label with its name in the zone, on Kubernetes without the namespace.
        namespace: the namespace on Kubernetes; empty elsewhere.
    """
    qualified = f"{display_name}.{namespace}" if namespace else display_name
    if not display_name or name in (display_name, qualified):
        return name
    return display_name if display_name.endswith(f".{namespace}") else qualified


def _service(own: Tags, tags: Mapping[str, list[str]], *, by_labels: bool, third: bool) -> str:
    """Return the service: the smallest of its tags; where inbounds have none, the workload comes first."""
    workload, tagged = own.get(WORKLOAD, ""), tags.get(SERVICE_TAG, [""])[0]
    if third:
        return workload or UNKNOWN_SERVICE
    return (by_labels and workload) or tagged or UNKNOWN_SERVICE


def _job(service: str, places: Iterable[Tags], service_labels: Sequence[str]) -> str:
    if service != UNKNOWN_SERVICE:
        return service
    places = tuple(places)
    named = (place[name] for name in service_labels for place in places if place.get(name))
    return next(named, service)


def _values(several: Iterable[Tags]) -> dict[str, list[str]]:
    values: dict[str, set[str]] = {}
    for tags in several:
        for name, value in tags.items():
            values.setdefault(name, set()).add(value)
    return {name: sorted(values[name]) for name in values}


def _labels(values: Mapping[str, list[str]]) -> Labels:
    """Convert each tag to two labels: its first value, and in the plural all values between commas."""
    labels: Labels = {}
    # In this order, a tag whose name is another one's plural wins.
    for name in sorted(values):
        labels[_valid(name)] = values[name][0]
        labels[_valid(f"{name}s")] = f",{','.join(values[name])},"
    return labels


def _kubernetes_labels(name: str, namespace: str, *, kubernetes: bool) -> Labels:
    if kubernetes and not namespace:
        namespace = name.rpartition(".")[2]
    pod = name.removesuffix(f".{namespace}")
    if not namespace or pod == name:
        return {}
    return {"k8s_kuma_io_name": pod, "k8s_kuma_io_namespace": namespace}


def _valid(name: str) -> str:
    return _INVALID.sub("_", name)
