"""Render ``/metrics``. Import this late, since it loads prometheus_client."""

import platform
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client import Metric as Family
from prometheus_client.exposition import choose_encoder
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from kuma_sd.core.logger import Logger
from kuma_sd.telemetry import metric_definitions as catalog
from kuma_sd.telemetry.metric import Labels
from kuma_sd.telemetry.output_status import OutputStatus
from kuma_sd.telemetry.status import Status

_log = Logger(__name__)

_OURS = {metric.full_name.removesuffix("_total") for metric in catalog.ALL}


class Metrics(Collector):
    """Collects all metrics from the status at the time of a scrape.

    Args:
        status: returns the status.
        collectors: returns the collectors that plugins registered.
    """

    def __init__(self, status: Callable[[], Status], collectors: Callable[[], Iterable[Collector]] = tuple) -> None:
        self._status = status
        self._collectors = collectors
        self._process = ProcessCollector(registry=None)
        self._reported: set[str] = set()

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """Return all metrics, and their content type.

        Args:
            accept: the header ``Accept`` of the request; it may ask for OpenMetrics.
        """
        try:
            encode, content_type = choose_encoder(accept)
        except (ValueError, TypeError):
            # The client asks for a version that is no number, which prometheus_client does not expect.
            encode, content_type = choose_encoder("")
        return encode(_registry(self)), content_type

    def collect(self) -> Iterator[Family]:
        """Yield the metric families, as prometheus_client requires."""
        yield from _of_kuma_sd(self._status())
        yield from self._process.collect()
        yield from self._of_plugins()

    def _of_plugins(self) -> Iterator[Family]:
        """Yield the metric families of plugins; several instances of a plugin add to the same families."""
        families: dict[str, Family] = {}
        for collector in self._collectors():
            try:
                for family in _checked(collector):
                    if family.name not in families:
                        families[family.name] = Family(family.name, family.documentation, family.type)
                    families[family.name].samples.extend(family.samples)
            except (Exception, SystemExit) as error:  # noqa: BLE001 (the boundary to plugins)
                self._report(collector, error)
        yield from families.values()

    def _report(self, collector: Collector, error: BaseException) -> None:
        # Only once, since every scrape would log it.
        kind = f"{type(collector).__module__}.{type(collector).__qualname__}"
        if kind not in self._reported:
            self._reported.add(kind)
            _log.error(
                "the metrics of a plugin are left out",
                collector=kind,
                reason=f"{type(error).__name__}: {error}",
                error=error,
            )


class _Collected(Collector):
    def __init__(self, families: list[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        return self._families


def _registry(collector: Collector) -> CollectorRegistry:
    # Not the global registry, where any library may register.
    registry = CollectorRegistry()
    registry.register(collector)
    return registry


def _checked(collector: Collector) -> list[Family]:
    """Return the metric families of a plugin's collector; raises if they cannot be rendered, to protect the others."""
    families = list(collector.collect())
    generate_latest(_registry(_Collected(families)))
    for family in families:
        if family.name in _OURS:
            raise ValueError(f"{family.name} is a metric of kuma-sd itself")
    return families


def _of_kuma_sd(status: Status) -> Iterator[Family]:
    build = {"version": status.version, "python": platform.python_version()}
    yield catalog.BUILD_INFO.family([(build, status)])
    for metric in catalog.PROCESS:
        yield metric.family([({}, status)])
    yield catalog.HOOK_FAILURES.family([({"plugin": failed.plugin}, failed) for failed in status.events.failures])
    control_planes = [({"control_plane": each.title}, each) for each in status.control_planes]
    protocols = [
        ({**labels, "protocol": each.source.protocol, "source": each.plugin}, each) for labels, each in control_planes
    ]
    yield catalog.CONTROL_PLANE_INFO.family(protocols)
    for of_control_plane in catalog.CONTROL_PLANE:
        yield of_control_plane.family(control_planes)
    outputs = [({"output": output.name}, output) for output in status.outputs]
    for of_output in catalog.OUTPUT:
        yield of_output.family(outputs)
    yield _latency(outputs)


def _latency(outputs: Iterable[tuple[Labels, OutputStatus]]) -> Family:
    name = catalog.LATENCY.full_name
    family = Family(name, catalog.LATENCY.help, "histogram")
    for labels, output in outputs:
        for end, count in output.publishing.seconds.cumulated:
            family.add_sample(f"{name}_bucket", {**labels, "le": end}, count)
        family.add_sample(f"{name}_count", dict(labels), float(sum(output.publishing.seconds.counts)))
        family.add_sample(f"{name}_sum", dict(labels), output.publishing.seconds.total)
    return family
