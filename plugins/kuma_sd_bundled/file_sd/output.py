"""The output for Prometheus's ``file_sd_configs``."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kuma_sd import ConfigError, Logger, Output, OutputError, Publication, TargetGroup
from kuma_sd_bundled.file_sd import advice
from kuma_sd_bundled.file_sd.claims import Claims
from kuma_sd_bundled.file_sd.foreign_changes import Restorer
from kuma_sd_bundled.file_sd.foreseen_failures import failures_of
from kuma_sd_bundled.file_sd.layout import Layout, leftovers_of
from kuma_sd_bundled.file_sd.options import FileSDOptions
from kuma_sd_bundled.file_sd.parts import Place
from kuma_sd_bundled.file_sd.parts_overlap import PartCounts
from kuma_sd_bundled.file_sd.writer import Writer, division_of

_log = Logger(__name__)

RETRY_SECONDS = 30.0
"""Wait before the end of an overlap is retried if a file cannot be written, in seconds."""


class FileSD(Output):
    """Writes files atomically, and only when their content changes; restores files that other programs change.

    Args:
        options: the options of the output.

    Raises:
        ConfigError: the options contradict each other.
    """

    def __init__(self, options: FileSDOptions) -> None:
        self._options = options
        self._layout = Layout.of(options)
        self._claims = Claims(self._layout.claimed)
        self._counts, self._writer, self._restorer = self._opened()
        # Locked while files are written: at each publication, and at the end of an overlap.
        self._writing = threading.Lock()
        self._timer: threading.Timer | None = None

    def start(self) -> None:
        """Claim the files, make their directories and watch them."""
        self._claims.take()
        try:
            # Opened again, since the last writer may have changed the number of parts.
            self._counts, self._writer, self._restorer = self._opened()
            self._writer.prepare()
        except BaseException:
            self._claims.release()
            raise
        self._warn_of_leftovers()
        self._restorer.start(f"restore {self._options.path.name}")

    def publish(self, publication: Publication) -> None:
        """Update the files; one that cannot be written does not keep the others from being updated."""
        with self._writing:
            self._writer.publish(publication)
            self._wait(self._writer.next_end)

    def files(self, publication: Publication) -> Mapping[Path, Sequence[bytes]]:
        """Return the lines that each file would hold; called in any thread."""
        counts = self._counts.all
        division = division_of(self._layout, counts)
        division.update(publication)
        return {self._layout.path(place): division.lines(place) for place in self._layout.places(max(counts))}

    def service_discovery(self, shard: tuple[int, int] | None) -> Mapping[str, Any]:
        """Return the Prometheus settings that read the file, or that of one shard, with one entry for each part."""
        count, mine = self._options.shards, self._options.shard
        if count is not None and (shard is None or shard[1] != count):
            choices = f"from 0/{count} to {count - 1}/{count}"
            raise ConfigError(f"it writes {count} shards; choose one with --shard, {choices}")
        if count is None and shard not in (None, mine):
            raise ConfigError(f"it writes {f'shard {mine} alone' if mine else 'no shards'}; leave --shard away")
        number = self._layout.shards[0] if count is None or shard is None else shard[0]
        paths = [self._layout.path(Place(number, part)) for part in range(self._layout.parts)]
        return {"file_sd_configs": [{"files": [str(path.absolute())]} for path in paths]}

    def explain(self, group: TargetGroup) -> tuple[str, bool]:
        """Return the file of a group and True, or why it is written to no file and False."""
        layout, mine = self._layout, self._options.shard
        places = layout.rule({layout.parts})(group)
        if places:
            return str(layout.path(places[0])), True
        assert mine is not None
        assert layout.sharding is not None
        number = layout.sharding.shard_of(group)
        return f"it belongs to shard {number}/{mine.of}, and shard = {mine} is written here", False

    def warnings(self) -> Iterator[str]:
        """Yield a sentence if Prometheus cannot watch so many parts."""
        yield from advice.on_parts(self._layout)

    def remarks(self) -> Iterator[str]:
        """Yield a remark about the cost of a single large file."""
        if self._layout.is_one_file:
            yield from advice.on_single_file(self._layout.count_targets())

    def failures(self, *, as_daemon: bool) -> Iterator[ConfigError]:
        """Yield why files could not be claimed or replaced."""
        return failures_of(self._layout, as_daemon=as_daemon)

    def facts(self) -> Mapping[str, str]:
        """Return the number of parts, or the cost of a single large file."""
        return advice.facts(self._layout, self._counts, self._writer.targets)

    def accept(self) -> list[str]:
        """End the overlaps after which Prometheus has to read more parts; returns a line for each."""
        with self._writing:
            ended = self._counts.end_early()
            self._wait(self._writer.next_end)
        return [
            f"the overlap with {count} parts is over: Prometheus has to read all {self._counts.current} parts"
            for count in ended
        ]

    def close(self) -> None:
        """Release the files, which stay as they are."""
        self._restorer.close()
        with self._writing:
            self._wait(None)
            self._writer.release()
            self._claims.release()

    def _opened(self) -> tuple[PartCounts, Writer, Restorer]:
        counts = PartCounts(self._layout.parts, self._options.parts_overlap)
        if self._layout.has_parts:
            counts.load(self._layout.record, self._layout.existing_parts)
        restorer = Restorer(self._layout.roots)
        writer = Writer(self._layout, counts, self._claims.renew, restorer.saw)
        restorer.follow(writer.files.values())
        return counts, writer, restorer

    def _wait(self, seconds: float | None) -> None:
        """Schedule the end of overlaps after some seconds; None for never."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if seconds is not None:
            self._timer = threading.Timer(seconds, self._end_overlaps)
            self._timer.daemon = True
            self._timer.start()

    def _end_overlaps(self) -> None:
        with self._writing:
            if self._timer is not threading.current_thread():
                # Closed or rescheduled while this thread waited for the lock.
                return
            try:
                self._writer.end_overlaps()
            except OutputError as error:
                _log.warning("a file cannot be written; targets stay in their old parts, trying again", reason=error)
                self._wait(RETRY_SECONDS)
            else:
                self._restorer.follow(self._writer.files.values())
                self._wait(self._writer.next_end)

    def _warn_of_leftovers(self) -> None:
        leftovers = leftovers_of(self._layout)
        if leftovers:
            _log.warning(
                "there are files of more shards than are written; their targets are in the others too: delete them "
                "once no Prometheus reads them",
                shards=self._options.shards,
                files=", ".join(map(str, leftovers)),
            )
