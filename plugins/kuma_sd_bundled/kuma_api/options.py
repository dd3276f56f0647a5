"""The options of the source kuma-api."""

from dataclasses import dataclass

from kuma_sd import DURATION, TEXT, ClientOptions, list_of, option

SERVICE_LABELS = ("kuma.io/workload", "kuma.io/service", "app", "k8s-app", "app.kubernetes.io/name")


@dataclass(frozen=True)
class ApiOptions(ClientOptions):
    """The options for polling the API server of a control plane (``kuma-api+http://``)."""

    name: str = option("kuma_sd", TEXT, "The client's name (node id); Kuma 2.6 and later select assignments by it.")
    api_interval: float = option(
        30.0, DURATION, "How often the API is polled; less often where a poll takes long.", at_least=0.1
    )
    service_label: tuple[str, ...] = option(
        SERVICE_LABELS,
        list_of(TEXT),
        "Over the API: the labels that name the job of a dataplane without a service; the first present counts.",
    )
    zones: tuple[str, ...] = option((), list_of(TEXT), "Over the API: the zones to publish; empty for all.")
