"""Interfaces that plugins implement, and descriptions that they yield from hooks."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from kuma_sd.core.model import Codec, Labels, Snapshot, Target
from kuma_sd.core.options import NoOptions
from kuma_sd.core.publication import Publication
from kuma_sd.plugin.context import Context

Transform = Callable[[Labels, Target], Iterable[Labels]]
"""A pure function from one label set to none, one or several.

It must not change its arguments and must depend on nothing else, since its results are cached. A result without
``__address__`` is dropped and counted. If it raises, the target keeps its previous result.
"""


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """The state of a source's connection; replaced whole, never changed.

    Args:
        connected: a connection is open and brought a response. The next response may be overdue, see `age()`.
        last_response: the time of the last response, in seconds of ``time.time()``; None before the first.
        protocol: the protocol of the current or last connection, like ``v1 gRPC``; empty before the first.
        why: why this protocol was chosen; may be empty.
        since: when the connection began, in seconds of ``time.time()``; None while not connected.
        responses: the number of responses so far, over all connections.
        received: the size of these responses, in bytes.
        unreadable: the number of assignments in the last response that cannot be read.
        parse_errors: the number of assignments, or whole responses, that could not be read so far.
        contact: the last moment in contact, in seconds of ``time.monotonic()``; None before the first.
        due: until when the connection may be silent, in seconds of ``time.monotonic()``; infinity if silence means no
            trouble, because something else shows that the peer is alive.
        awaiting: since when a first response is awaited, in seconds of ``time.monotonic()``; None while there is no
            attempt to connect.
        endpoint: the server that the connection leads to, like ``kuma.internal:5676``.
        note: anything unusual about the last response; empty if there is nothing.
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
        """Return the seconds since the last moment in contact: 0 while in contact, None if there was none.

        Args:
            now: the current time, in seconds of ``time.monotonic()``.
        """
        if self.connected and now <= self.due:
            return 0.0
        return None if self.contact is None else max(0.0, now - self.contact)

    def silence(self, now: float) -> float:
        """Return for how long a response has been overdue, in seconds; 0 if none is.

        Args:
            now: the current time, in seconds of ``time.monotonic()``.
        """
        if self.awaiting is not None:
            return max(0.0, now - self.awaiting)
        return (self.age(now) or 0.0) if self.connected else 0.0


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


class Output(ABC):
    """Delivers publications; each instance has its own thread."""

    def start(self) -> None:  # noqa: B027 (most outputs claim nothing)
        """Claim exclusive resources, like a directory or a lock; `kuma-sd check` never calls this.

        Raises:
            OutputError: a resource cannot be claimed.
        """

    @abstractmethod
    def publish(self, publication: Publication) -> None:
        """Deliver a publication, which replaces the one before.

        Raises:
            OutputError: it could not be delivered; the daemon retries the newest publication with back-off.
        """

    def close(self) -> None:  # noqa: B027 (most outputs claim nothing)
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
    """Describes a kind of source. Its name is that of its entry point: ``source.SCHEME``, one for each URL scheme.

    Args:
        open: creates a source from options and context, whose address is set; may read files, and connects when
            iterated.
        options: a frozen dataclass whose fields are made with `option()`.
        codec: returns the codec of a name, so that saved assignments can be read after a restart; raises KeyError for
            an unknown name. Without it, nothing is saved.
    """

    open: Callable[[Any, Context], Source]
    options: type = NoOptions
    codec: Callable[[str], Codec] | None = None


@dataclass(frozen=True)
class TransformPlugin:
    """Describes a kind of transform. Its name is that of its entry point: ``transform.NAME``.

    Args:
        open: creates a transform from options and context; may read files.
        options: a frozen dataclass whose fields are made with `option()`.
    """

    open: Callable[[Any, Context], Transform]
    options: type = NoOptions


@dataclass(frozen=True)
class OutputPlugin:
    """Describes a kind of output. Its name is that of its entry point: ``output.NAME``.

    Args:
        open: creates an output from options and context; may read files, and claims nothing before start().
        options: a frozen dataclass whose fields are made with `option()`.
    """

    open: Callable[[Any, Context], Output]
    options: type = NoOptions
