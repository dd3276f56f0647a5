"""Build the daemon's HTTP application. Imported late: a daemon without requests needs little of it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from kuma_sd.core.model import Key
from kuma_sd.core.publication import Publication
from kuma_sd.explain import ExplainInputs, Selector, answer, containing, parse_selector
from kuma_sd.runtime.daemon import Daemon
from kuma_sd.runtime.status_collector import StatusCollector
from kuma_sd.telemetry.explanation import SearchResult
from kuma_sd.web.application import Application
from kuma_sd.web.endpoints.control import add_control
from kuma_sd.web.endpoints.explain import add_inspection
from kuma_sd.web.endpoints.monitoring import add_monitoring
from kuma_sd.web.endpoints.published import add_published
from kuma_sd.web.page.handlers import add_page
from kuma_sd.web.page.page_data import PageData

if TYPE_CHECKING:
    from kuma_sd.telemetry.exposition import Metrics


def application_of(
    daemon: Daemon, collector: StatusCollector, reload_soon: Callable[[], None], may_change: Callable[[], bool]
) -> Application:
    """Return the HTTP application of a daemon.

    Args:
        daemon: the daemon.
        collector: its status collector.
        reload_soon: requests a reload.
        may_change: tells whether users of the status page may accept.
    """

    def reload() -> list[str]:
        reload_soon()
        return ["the settings are read again; the log says what came of it"]

    def explain(selector: str, output: str, limit: int, offset: int) -> SearchResult:
        return answer(ExplainInputs.of_daemon(daemon), parse_selector(selector), output, limit, offset)

    application = Application(lambda: daemon.components.served)
    add_control(application, daemon.accept, reload)
    add_inspection(application, explain)
    add_published(application, daemon.published, daemon.received)
    add_page(application, page_data_of(daemon, collector, may_change))
    add_monitoring(
        application,
        unhealthy=lambda: collector.status(parts=False).unhealthy,
        unready=lambda: collector.status(parts=False).unready,
        metrics=_Exposition(daemon, collector).of,
        status=lambda: msgspec.json.encode(collector.status()),
    )
    return application


class _Exposition:
    """The metrics; their code is loaded at the first scrape."""

    def __init__(self, daemon: Daemon, collector: StatusCollector) -> None:
        self._daemon = daemon
        self._collector = collector
        self._metrics: Metrics | None = None

    def of(self, accept: str) -> tuple[bytes, str]:
        from kuma_sd.telemetry.exposition import Metrics  # noqa: PLC0415 (imported late: a daemon that is not scraped does not need it)

        if self._metrics is None:
            self._metrics = Metrics(
                lambda: self._collector.status(parts=False), lambda: self._daemon.components.collectors
            )
        return self._metrics.exposition(accept)


def page_data_of(daemon: Daemon, collector: StatusCollector, may_change: Callable[[], bool]) -> PageData:
    """Return the data of the status page.

    Args:
        daemon: the daemon.
        collector: its status collector.
        may_change: tells whether users of the page may accept.
    """

    def explaining(selector: Callable[[str], Selector]) -> Callable[[str, int, int], SearchResult]:
        return lambda text, limit, offset: answer(ExplainInputs.of_daemon(daemon), selector(text), "", limit, offset)

    def published() -> dict[str, Publication]:
        statuses = {name: worker.status for name, worker in daemon.outputs.items()}
        return {name: status.published for name, status in statuses.items() if status.published}

    def holds(key: Key) -> bool:
        view = daemon.pipeline.status.control_planes.get(key.control_plane)
        return view is not None and key in view.guard.keys

    return PageData(
        status=collector.status,
        history=collector.history,
        published=published,
        holds=holds,
        explain=explaining(parse_selector),
        containing=explaining(containing),
        accept=daemon.accept,
        may_change=may_change,
    )
