"""What the daemon offers to an instance of a plugin, and what the instance hands back through it."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from kuma_sd.core.errors import ConfigError, KumaSDError, PluginError
from kuma_sd.core.logger import Logger
from kuma_sd.core.url import Url

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from prometheus_client.registry import Collector


class Contributions(NamedTuple):
    """What an instance handed to the daemon so far.

    Args:
        served: the applications, by path.
        collectors: the collectors of metrics.
        reports: functions that return facts about the instance.
        acceptances: functions that run when an operator accepts.
    """

    served: "Mapping[str, WSGIApplication]"
    collectors: "tuple[Collector, ...]"
    reports: tuple[Callable[[], Mapping[str, str]], ...]
    acceptances: tuple[Callable[[], Iterable[str]], ...]


def _no_state_dir() -> Path:
    raise KumaSDError("this context has no state directory; in a test, name one as in context(directory)")


class Context:
    """Everything that the daemon offers to an instance of a plugin.

    What an instance registers here lives as long as the instance: a reload that replaces the instance removes it.

    Args:
        name: the instance's name in the settings; for a source that of the control plane, empty for the only one.
        title: its name in messages; the name unless given.
        address: the address of a source.
        log: a logger that names the instance in every line.
        make_state_dir: makes the directory of `state_dir` and returns its path.
    """

    def __init__(
        self,
        name: str,
        *,
        title: str = "",
        address: Url | None = None,
        log: Logger | None = None,
        make_state_dir: Callable[[], Path] = _no_state_dir,
    ) -> None:
        self._name = name
        self._title = title or name
        self._address = address
        self._log = log or Logger(__name__, instance=self._title)
        self._make_state_dir = make_state_dir
        self._served: dict[str, WSGIApplication] = {}
        self._collectors: list[Collector] = []
        self._reports: list[Callable[[], Mapping[str, str]]] = []
        self._acceptances: list[Callable[[], Iterable[str]]] = []

    @property
    def name(self) -> str:
        """The instance's name in the settings; for a source that of the control plane, empty for the only one."""
        return self._name

    @property
    def title(self) -> str:
        """The instance's name in messages; never empty."""
        return self._title

    @property
    def address(self) -> Url:
        """The address of a source, from ``cp-address``. As text, its secrets are masked.

        Raises:
            PluginError: the instance is a transform or an output.
        """
        if self._address is None:
            raise PluginError("only a source has an address")
        return self._address

    @property
    def log(self) -> Logger:
        """A logger that names the instance in every line."""
        return self._log

    @property
    def state_dir(self) -> Path:
        """A directory of this instance alone, which outlives restarts; made when it is first asked for.

        Do not ask for it in ``open``, which `kuma-sd check` calls too, maybe as another user.

        Raises:
            KumaSDError: it cannot be made, or others could write it.
        """
        return self._make_state_dir()

    def serve(self, path: str, application: "WSGIApplication") -> None:
        """Serve a path on the daemon's listeners.

        Args:
            path: the whole path, like ``/sd``; no other instance may serve it.
            application: answers the requests; called in several threads at a time.

        Raises:
            ConfigError: the path is not valid.
        """
        if not path.startswith("/") or set(path) & set("?#%\\ ") or "//" in path or {".", ".."} & set(path.split("/")):
            raise ConfigError(f"{path!r} is not a path that can be served; write it like /sd")
        self._served[path] = application

    def register(self, collector: "Collector") -> None:
        """Add metrics to ``/metrics``.

        Args:
            collector: its ``collect()`` yields metric families of prometheus_client; called in any thread. The number
                of values of a label must not grow with the mesh.
        """
        self._collectors.append(collector)

    def report(self, facts: Callable[[], Mapping[str, str]]) -> None:
        """Add facts about this instance to the status page and ``kuma-sd status``.

        Args:
            facts: returns a few facts by name, like ``{"role": "leader"}``; called in any thread.
        """
        self._reports.append(facts)

    def on_accept(self, acceptance: Callable[[], Iterable[str]]) -> None:
        """Set what happens when an operator runs ``kuma-sd accept`` without a name, or with this instance's name.

        Args:
            acceptance: ends everything that waits for an operator and returns a line about each, which is shown to the
                operator; called in any thread.
        """
        self._acceptances.append(acceptance)

    @property
    def contributions(self) -> Contributions:
        """What the instance handed over so far, for the daemon and for tests."""
        return Contributions(
            MappingProxyType(dict(self._served)),
            tuple(self._collectors),
            tuple(self._reports),
            tuple(self._acceptances),
        )
