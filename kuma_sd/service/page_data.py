"""What a running daemon shows on its status page."""

from collections.abc import Callable

from kuma_sd.runtime.daemon import Daemon
from kuma_sd.explain import Scene, Selector, answer, containing, parse_selector
from kuma_sd.telemetry.explanation import Answer
from kuma_sd.core.model import Key, Publication
from kuma_sd.runtime.status_collector import Observer
from kuma_sd.web.page import Sight


def sight_of(daemon: Daemon, observer: Observer, may_change: Callable[[], bool]) -> Sight:
    """Return what there is to see of a daemon.

    Args:
        daemon: the daemon.
        observer: who looks at it.
        may_change: tells whether those who look may also accept.
    """

    def explaining(selector: Callable[[str], Selector]) -> Callable[[str, int, int], Answer]:
        return lambda text, limit, offset: answer(Scene.of_daemon(daemon), selector(text), "", limit, offset)

    def published() -> dict[str, Publication]:
        statuses = {name: worker.status for name, worker in daemon.outputs.items()}
        return {name: status.published for name, status in statuses.items() if status.published}

    def holds(key: Key) -> bool:
        inlet = daemon.pipeline.inlets.get(key.control_plane)
        return inlet is not None and inlet.guard.holds(key)

    return Sight(
        status=observer.status,
        history=observer.history,
        published=published,
        holds=holds,
        explain=explaining(parse_selector),
        containing=explaining(containing),
        accept=daemon.accept,
        may_change=may_change,
    )
