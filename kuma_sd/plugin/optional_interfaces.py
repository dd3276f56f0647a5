"""What transforms and outputs can do besides: each interface is one member, which the daemon looks for."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from kuma_sd.core.errors import ConfigError
from kuma_sd.core.model import Labels, Target
from kuma_sd.core.publication import Publication
from kuma_sd.core.target_group import TargetGroup


@runtime_checkable
class ExplainsLabels(Protocol):
    """Optional interface of transforms: `kuma-sd explain` shows the steps within the transform."""

    def explain(self, labels: Labels, target: Target) -> Iterable[tuple[str, Labels | None]]:
        """Yield each step with the labels after it, None if it drops the target; called in any thread."""


@runtime_checkable
class ReadsLabels(Protocol):
    """Optional interface of transforms: `kuma-sd check` warns if the label profile does not make what it reads."""

    @property
    def reads(self) -> Collection[str]:
        """The names of the labels that decide what the transform does."""


@runtime_checkable
class ExplainsGroups(Protocol):
    """Optional interface of outputs: `kuma-sd explain` shows where the output puts a target."""

    def explain(self, group: TargetGroup) -> tuple[str, bool]:
        """Return where it puts a group and True, or why it leaves it out and False; called in any thread."""


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
class GivesWarnings(Protocol):
    """Optional interface of outputs: the daemon logs warnings at start, and `kuma-sd check` prints them."""

    def warnings(self) -> Iterable[str]:
        """Return a sentence for each unlikely setting; called before start()."""


@runtime_checkable
class GivesRemarks(Protocol):
    """Optional interface of outputs: `kuma-sd check` prints suggestions for better settings."""

    def remarks(self) -> Iterable[str]:
        """Return a sentence for each suggestion; called before start()."""


@runtime_checkable
class ForeseesFailures(Protocol):
    """Optional interface of outputs: `kuma-sd check` prints why start() or publish() would fail."""

    def failures(self, *, as_daemon: bool) -> Iterable[ConfigError]:
        """Return why it could not start or publish; called before start(). Nothing is made, locked or changed.

        Args:
            as_daemon: whether this user is the daemon's; if not, what another user may do cannot be told.
        """


OF_TRANSFORMS = (ExplainsLabels, ReadsLabels)
OF_OUTPUTS = (ExplainsGroups, ReadByPrometheus, WritesFiles, GivesWarnings, GivesRemarks, ForeseesFailures)
