"""What a running daemon answers over HTTP; loaded once it is ready or asked: most of it is needed for that alone."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from kuma_sd.runtime.daemon import Daemon
from kuma_sd.explain import Scene, answer, parse_selector
from kuma_sd.telemetry.explanation import Answer
from kuma_sd.runtime.status_collector import Observer
from kuma_sd.service.page_data import sight_of
from kuma_sd.web.application import Application
from kuma_sd.web.endpoints.control import add_control
from kuma_sd.web.endpoints.health import add_health
from kuma_sd.web.endpoints.explain import add_inspection
from kuma_sd.web.page import add_page
from kuma_sd.web.endpoints.published import add_published

if TYPE_CHECKING:
    from kuma_sd.telemetry.exposition import Metrics


def application_of(
    daemon: Daemon, observer: Observer, reload_soon: Callable[[], None], may_change: Callable[[], bool]
) -> Application:
    """Return what answers for a daemon.

    Args:
        daemon: the daemon.
        observer: who looks at it.
        reload_soon: makes it read its settings again.
        may_change: tells whether those who look at the status page may also accept.
    """

    def reload() -> list[str]:
        reload_soon()
        return ["the settings are read again; the log says what came of it"]

    def explain(selector: str, output: str, limit: int, offset: int) -> Answer:
        return answer(Scene.of_daemon(daemon), parse_selector(selector), output, limit, offset)

    application = Application(lambda: daemon.assembly.served)
    add_control(application, daemon.accept, reload)
    add_inspection(application, explain)
    add_published(application, daemon.published, daemon.received)
    add_page(application, sight_of(daemon, observer, may_change))
    add_health(
        application,
        unhealthy=lambda: observer.status(parts=False).unhealthy,
        unready=lambda: observer.status(parts=False).unready,
        metrics=_Exposition(daemon, observer).of,
        status=lambda: msgspec.json.encode(observer.status()),
    )
    return application


class _Exposition:
    """The metrics; what makes them is loaded when somebody scrapes first."""

    def __init__(self, daemon: Daemon, observer: Observer) -> None:
        self._daemon = daemon
        self._observer = observer
        self._metrics: Metrics | None = None

    def of(self, accept: str) -> tuple[bytes, str]:
        from kuma_sd.telemetry.exposition import Metrics  # noqa: PLC0415 (late, since a daemon that nobody scrapes never needs it)

        if self._metrics is None:
            self._metrics = Metrics(
                lambda: self._observer.status(parts=False), lambda: self._daemon.assembly.collectors
            )
        return self._metrics.exposition(accept)
