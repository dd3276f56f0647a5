"""The output ``summary``: a text file that says how many targets there are, for example in each mesh and service."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kuma_sd import (
    PATH,
    TEXT,
    FileClaim,
    GroupKey,
    IncrementalCache,
    Output,
    OutputPlugin,
    Publication,
    TargetGroup,
    hookimpl,
    list_of,
    option,
    replace_file,
)


@dataclass(frozen=True)
class SummaryOptions:
    """What to count, and where to write it."""

    path: Path = option(Path("/var/run/kuma-sd/summary.txt"), PATH, "The file to write.")
    labels: tuple[str, ...] = option(("mesh", "service"), list_of(TEXT), "The labels whose values are counted.")


class Summary(Output):
    """Counts targets by the values of some labels.

    Args:
        options: what to count, and where to write it.
    """

    def __init__(self, options: SummaryOptions) -> None:
        self._options = options
        self._claim: FileClaim | None = None
        # Labels are read from a target's line once, and again only when the line changes.
        self._values: IncrementalCache[GroupKey, TargetGroup, tuple[str, ...]] = IncrementalCache(self._values_of)

    def start(self) -> None:
        """Make the directory, and see that nobody else writes the file."""
        self._claim = FileClaim(self._options.path)

    def publish(self, publication: Publication) -> None:
        """Write the file."""
        counts = Counter(self._values.round(publication.groups))
        replace_file(self._options.path, self._lines(counts))

    def close(self) -> None:
        """Leave the file to others; it stays."""
        if self._claim:
            self._claim.release()
            self._claim = None

    def _values_of(self, group: TargetGroup) -> tuple[str, ...]:
        labels = group.labels
        # A tab or a line end in a value would look like another column or row.
        return tuple(" ".join(labels.get(name, "").split()) for name in self._options.labels)

    def _lines(self, counts: Counter[tuple[str, ...]]) -> Iterable[bytes]:
        yield "\t".join(["targets", *self._options.labels]).encode() + b"\n"
        for values, count in sorted(counts.items()):
            yield "\t".join([str(count), *values]).encode() + b"\n"


SUMMARY = OutputPlugin(open=lambda options, _context: Summary(options), options=SummaryOptions)


@hookimpl
def kuma_sd_output_plugin() -> OutputPlugin:
    """Describe what this module offers."""
    return SUMMARY
