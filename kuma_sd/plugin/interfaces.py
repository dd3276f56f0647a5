"""Interfaces that plugins implement, and descriptions that they yield from hooks."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from kuma_sd.core.errors import ConfigError
from kuma_sd.core.model import Codec, Labels, Snapshot, Target
from kuma_sd.core.options import NoOptions
from kuma_sd.core.publication import Publication
from kuma_sd.core.source_status import SourceStatus
from kuma_sd.core.url import Url

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from prometheus_client.registry import Collector

Transform = Callable[[Labels, Target], Iterable[Labels]]
"""A pure function from one label set to none, one or several.

It must not change its arguments and must depend on nothing else, since its results are cached. A result without
``__address__`` is dropped and counted. If it raises, the target keeps its previous result.
"""


@dataclass(frozen=True)
class Context:
    """Everything that the daemon offers to an instance of a plugin.

    What an instance registers here lives as long as the instance: a reload that replaces the instance removes it.

    Args:
        name: the instance's name in the settings; for a source that of the control plane, empty for the only one.
    """

    name: str
    served: "dict[str, WSGIApplication]" = field(default_factory=dict, init=False, repr=False)
    collectors: "list[Collector]" = field(default_factory=list, init=False, repr=False)
    facts: list[Callable[[], Mapping[str, str]]] = field(default_factory=list, init=False, repr=False)
    acceptances: list[Callable[[], Iterable[str]]] = field(default_factory=list, init=False, repr=False)

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
        self.served[path] = application

    def register(self, collector: "Collector") -> None:
        """Add metrics to ``/metrics``.

        Args:
            collector: its ``collect()`` yields metric families of prometheus_client; called in any thread. The number
                of values of a label must not grow with the mesh.
        """
        self.collectors.append(collector)

    def report(self, facts: Callable[[], Mapping[str, str]]) -> None:
        """Add facts about this instance to the status page and ``kuma-sd status``.

        Args:
            facts: returns a few facts by name, like ``{"role": "leader"}``; called in any thread.
        """
        self.facts.append(facts)

    def on_accept(self, acceptance: Callable[[], Iterable[str]]) -> None:
        """Set what happens when an operator runs ``kuma-sd accept`` without a name, or with this instance's name.

        Args:
            acceptance: ends everything that waits for an operator and returns a line about each, which is shown to the
                operator; called in any thread.
        """
        self.acceptances.append(acceptance)


class Source(Protocol):
    """Streams the snapshots of one control plane.

    Each iteration is one connection: it ends, or raises SourceError, when the connection ends, and the daemon iterates
    again with back-off. A source acknowledges a message once it is parsed; later failures never stop the stream.
    """

    @property
    def status(self) -> SourceStatus:
        """The current state; read by other threads."""

    def __iter__(self) -> Iterator[Snapshot]:
        """Connect, and yield snapshots as they arrive."""

    def close(self) -> None:
        """End the iteration immediately, from another thread, even if it blocks in a call."""


class Output(Protocol):
    """Delivers publications; each instance has its own thread."""

    def start(self) -> None:
        """Claim exclusive resources, like a directory or a lock; `kuma-sd check` never calls this.

        Raises:
            OutputError: a resource cannot be claimed.
        """

    def publish(self, publication: Publication) -> None:
        """Deliver a publication, which replaces the one before.

        Raises:
            OutputError: it could not be delivered; the daemon retries the newest publication with back-off.
        """

    def close(self) -> None:
        """Release what start() claimed. Published targets stay published."""


@runtime_checkable
class ReadByPrometheus(Protocol):
    """Optional interface of outputs: `kuma-sd prometheus-config` prints the scrape job that reads the output."""

    def service_discovery(self, shard: tuple[int, int] | None) -> Mapping[str, Any]:
        """Return the service discovery settings of the job, as in Prometheus's configuration.

        A URL that begins with ``/`` is a path of the daemon's listener.

        Args:
            shard: the shard that the job reads, and the number of shards; None for all targets.

        Raises:
            ConfigError: the output has no such shard, or has several and none was chosen.
        """


@runtime_checkable
class WritesFiles(Protocol):
    """Optional interface of outputs: `kuma-sd diff` compares with the content of the output's files."""

    def files(self, publication: Publication) -> Mapping[Path, Sequence[bytes]]:
        """Return the lines of JSON that each file would hold; called in any thread, also before start()."""


@runtime_checkable
class GivesAdvice(Protocol):
    """Optional interface of outputs: warnings and remarks about the settings, before start()."""

    def warnings(self) -> Iterable[str]:
        """Return warnings about unlikely settings; the daemon logs them at start, and `kuma-sd check` prints them."""

    def remarks(self) -> Iterable[str]:
        """Return suggestions for better settings; only `kuma-sd check` prints them."""


@dataclass(frozen=True)
class SourcePlugin:
    """Describes a kind of source.

    Args:
        name: its name in listings.
        schemes: the URL schemes of the addresses it takes.
        options: a frozen dataclass whose fields are made with `option()`.
        open: creates a source from an address, options and context; may read files, and connects when iterated. The
            address as text has its secrets masked.
        codec: returns the codec of a name, so that saved assignments can be read after a restart; raises KeyError for
            an unknown name. Without it, nothing is saved.
    """

    name: str
    schemes: tuple[str, ...]
    open: Callable[[Url, Any, Context], Source]
    options: type = NoOptions
    codec: Callable[[str], Codec] | None = None


@dataclass(frozen=True)
class TransformPlugin:
    """Describes a kind of transform.

    Args:
        name: its name in the settings.
        options: a frozen dataclass whose fields are made with `option()`.
        make: creates a transform from options; raises ConfigError if the options contradict each other.
    """

    name: str
    make: Callable[[Any], Transform]
    options: type = NoOptions


@dataclass(frozen=True)
class OutputPlugin:
    """Describes a kind of output.

    Args:
        name: its name in the settings.
        options: a frozen dataclass whose fields are made with `option()`.
        open: creates an output from options and context; may read files, and claims nothing before start().
    """

    name: str
    open: Callable[[Any, Context], Output]
    options: type = NoOptions
