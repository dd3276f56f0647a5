"""Interfaces that plugins implement, and descriptions that they yield from hooks."""

from abc import ABC, abstractmethod
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from kuma_sd.core.model import Codec, Labels, Snapshot, Target
from kuma_sd.core.options import NoOptions
from kuma_sd.core.publication import Publication
from kuma_sd.core.source_status import SourceStatus
from kuma_sd.plugin.context import Context

Transform = Callable[[Labels, Target], Iterable[Labels]]
"""A pure function from one label set to none, one or several.

It must not change its arguments and must depend on nothing else, since its results are cached. A result without
``__address__`` is dropped and counted. If it raises, the target keeps its previous result.
"""


@runtime_checkable
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


@dataclass(frozen=True)
class SourcePlugin:
    """Describes a kind of source. Its name is that of its entry point: ``source.SCHEME``, one for each URL scheme.

    Args:
        open: creates a source from options and context, whose address is set; may read files, and connects when
            iterated.
        options: a frozen dataclass whose fields are made with `option()`.
        codec: returns the codec of a name, so that saved assignments can be read after a restart; raises KeyError for
            an unknown name. Without it, nothing is saved, and a restart begins with the published files.
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


@dataclass(frozen=True)
class CommandPlugin:
    """Describes a command of ``kuma-sd``. Its name is that of its entry point: ``command.NAME``.

    Args:
        run: does the work with the values of the flags, and returns the exit status.
        help: the help text; its first line says what the command does.
        add_arguments: adds the flags.
    """

    run: Callable[[Namespace], int]
    help: str = ""
    add_arguments: Callable[[ArgumentParser], None] = lambda _parser: None
