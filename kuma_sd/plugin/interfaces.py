"""What plugins implement, and what they describe themselves with."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from kuma_sd.core.errors import ConfigError
from kuma_sd.core.model import Codec, Labels, Snapshot, Target
from kuma_sd.core.options import NoOptions
from kuma_sd.core.publication import Publication
from kuma_sd.core.url import Url

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from prometheus_client.registry import Collector

Transform = Callable[[Labels, Target], Iterable[Labels]]
"""A pure function of one label set: none, one or several come out.

It must not change its arguments and must depend on nothing else, for its results are remembered. A result without
``__address__`` is dropped and counted. When it raises, the target keeps its previous result.
"""


@dataclass(frozen=True)
class Context:
    """All that a plugin gets from the daemon; it grows here and nowhere else.

    What an instance hands over here lives as long as the instance: a reload that replaces it takes all of it away.

    Args:
        name: the instance's name in the settings; of a source the control plane's, empty for the only one.
    """

    name: str
    served: "dict[str, WSGIApplication]" = field(default_factory=dict, init=False, repr=False)
    collectors: "list[Collector]" = field(default_factory=list, init=False, repr=False)
    facts: list[Callable[[], Mapping[str, str]]] = field(default_factory=list, init=False, repr=False)
    acceptances: list[Callable[[], Iterable[str]]] = field(default_factory=list, init=False, repr=False)

    def serve(self, path: str, application: "WSGIApplication") -> None:
        """Let the daemon's listeners answer a path.

        Args:
            path: all of it, like ``/sd``; no other instance may have it.
            application: what answers; called in several threads at a time.

        Raises:
            ConfigError: it is not a path.
        """
        if not path.startswith("/") or set(path) & set("?#%\\ ") or "//" in path or {".", ".."} & set(path.split("/")):
            raise ConfigError(f"{path!r} is not a path that can be served; write it like /sd")
        self.served[path] = application

    def register(self, collector: "Collector") -> None:
        """Add to what ``/metrics`` tells.

        Args:
            collector: its ``collect()`` yields metric families of prometheus_client; called in any thread. No label
                may have values that grow with the mesh.
        """
        self.collectors.append(collector)

    def report(self, facts: Callable[[], Mapping[str, str]]) -> None:
        """Add to what the status page and ``kuma-sd status`` tell of this instance.

        Args:
            facts: returns a few facts by their names, like ``{"role": "leader"}``; called in any thread.
        """
        self.facts.append(facts)

    def on_accept(self, acceptance: Callable[[], Iterable[str]]) -> None:
        """Do something when an operator runs ``kuma-sd accept`` without a name, or with the name of this instance.

        Args:
            acceptance: ends whatever waits for an operator; returns a line for each such thing, which the operator is
                shown; called in any thread.
        """
        self.acceptances.append(acceptance)


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """What a source knows of its connection; replaced whole, never changed.

    Args:
        connected: a connection is open that brought an answer. It may be overdue to bring another, see `age()`.
        last_response: when the last answer came, in seconds of ``time.time()``, for people; None before the first.
        protocol: what is spoken, like ``v1 gRPC``, or was last; empty before anything was.
        why: why it is that protocol; empty where there is nothing to say.
        since: since when it is connected, in seconds of ``time.time()``; None while it is not.
        responses: how many answers came so far, over all connections.
        received: how many bytes they had.
        unreadable: how many assignments of the last answer cannot be understood.
        parse_errors: how many assignments, or whole answers, could not be understood so far.
        contact: the last moment in contact, in seconds of ``time.monotonic()``; None before the first.
        due: until when the connection may stay silent, likewise; infinity where silence is no sign of trouble, since
            something else shows that the other end is alive.
        awaiting: since when a first answer is awaited, likewise; None while there is no attempt to connect.
        endpoint: which server the connection leads to, like ``kuma.internal:5676``.
        note: what is remarkable about the last answer; empty for nothing.
    """

    connected: bool = False
    last_response: float | None = None
    protocol: str = ""
    why: str = ""
    since: float | None = None
    responses: int = 0
    received: int = 0
    unreadable: int = 0
    parse_errors: int = 0
    contact: float | None = None
    due: float = float("inf")
    awaiting: float | None = None
    endpoint: str = ""
    note: str = ""

    def age(self, now: float) -> float | None:
        """Return how long ago the last moment in contact was, in seconds: 0 while in contact, None if there was none.

        Args:
            now: in seconds of ``time.monotonic()``.
        """
        if self.connected and now <= self.due:
            return 0.0
        return None if self.contact is None else max(0.0, now - self.contact)

    def silence(self, now: float) -> float:
        """Return for how long an answer has been awaited that should be there by now, in seconds; 0 for none.

        Args:
            now: in seconds of ``time.monotonic()``.
        """
        if self.awaiting is not None:
            return max(0.0, now - self.awaiting)
        return (self.age(now) or 0.0) if self.connected else 0.0


class Source(Protocol):
    """Streams the snapshots of one control plane.

    Iterating is one connection: it ends, or raises SourceError, when the connection does, and the daemon iterates
    again with back-off. A source acknowledges once a message is parsed; what happens later never stops the stream.
    """

    @property
    def status(self) -> SourceStatus:
        """The present state, read by other threads."""

    def __iter__(self) -> Iterator[Snapshot]:
        """Connect and yield snapshots as they come."""

    def close(self) -> None:
        """End the iteration from another thread, at once, whatever call it blocks in."""


class Output(Protocol):
    """Publishes publications; each instance has a thread of its own."""

    def start(self) -> None:
        """Claim what only one may have, like a directory or a lock; `kuma-sd check` never calls this.

        Raises:
            OutputError: it cannot be had.
        """

    def publish(self, publication: Publication) -> None:
        """Make the world look like this publication.

        Raises:
            OutputError: it did not work; the daemon retries the newest publication with back-off.
        """

    def close(self) -> None:
        """Let go of what start() claimed. What is published stays."""


@runtime_checkable
class ReadByPrometheus(Protocol):
    """What an output may offer besides: `kuma-sd prometheus-config` then prints the scrape job that reads it."""

    def service_discovery(self, shard: tuple[int, int] | None) -> Mapping[str, Any]:
        """Return the service discovery of the job, as Prometheus spells it.

        A URL that begins with ``/`` is a path of the daemon's listener.

        Args:
            shard: which shard the job reads, and of how many; None for everything.

        Raises:
            ConfigError: the output has no such shard, or has several and this is none of them.
        """


@runtime_checkable
class WritesFiles(Protocol):
    """What an output may offer besides: `kuma-sd diff` then compares with what stands in its files."""

    def files(self, publication: Publication) -> Mapping[Path, Sequence[bytes]]:
        """Return the lines of JSON that each file would hold; any thread may ask, also before start()."""


@runtime_checkable
class GivesAdvice(Protocol):
    """What an output may offer besides: sentences about its settings, before start()."""

    def warnings(self) -> Iterable[str]:
        """Return what the settings hardly mean; the daemon logs it at start, and `kuma-sd check` says it."""

    def remarks(self) -> Iterable[str]:
        """Return what may be worth another setting; `kuma-sd check` alone says it."""


@dataclass(frozen=True)
class SourcePlugin:
    """Describes a kind of source.

    Args:
        name: its name in listings.
        schemes: the URL schemes of the addresses it takes.
        options: a frozen dataclass whose fields are made with `option()`.
        open: makes a source of an address, options and context; reads files at most, and connects when iterated. As
            text, the address has its secrets masked.
        codec: returns the codec of a name, so that assignments that were saved can be read after a restart; raises
            KeyError for an unknown one. Without it nothing is saved.
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
        make: makes a transform of the options; raises ConfigError when they do not fit together.
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
        open: makes an output of options and context; reads files at most, and claims nothing before start().
    """

    name: str
    open: Callable[[Any, Context], Output]
    options: type = NoOptions
