"""The output that Prometheus's ``file_sd_configs`` reads."""

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kuma_sd import ConfigError, OutputError, Publication, TargetGroup
from kuma_sd_bundled.file_sd import advice
from kuma_sd_bundled.file_sd.claims import Claims
from kuma_sd_bundled.file_sd.layout import Layout, Place, leftovers_of
from kuma_sd_bundled.file_sd.options import FileSDOptions
from kuma_sd_bundled.file_sd.parts_overlap import PartCounts
from kuma_sd_bundled.file_sd.restorer import Restorer
from kuma_sd_bundled.file_sd.writer import Writer, division_of

_log = logging.getLogger(__name__)

RETRY_SECONDS = 30.0
"""When the end of an overlap is tried again if a file cannot be written."""


class FileSD:
    """Writes files, each whole or not at all, and only when its content changes; restores what somebody else changes.

    Args:
        options: where and how.

    Raises:
        ConfigError: the options do not fit together.
    """

    def __init__(self, options: FileSDOptions) -> None:
        self._options = options
        self._layout = Layout.of(options)
        self._claims = Claims(self._layout.claimed)
        self._counts, self._writer, self._restorer = self._opened()
        # Held while files are written: with each publication, and at the end of an overlap.
        self._writing = threading.Lock()
        self._timer: threading.Timer | None = None

    def start(self) -> None:
        """Claim the files, make their directories and watch them."""
        self._claims.take()
        try:
            # Anew: whoever wrote them until now may have changed how many there are.
            self._counts, self._writer, self._restorer = self._opened()
            self._writer.prepare()
        except BaseException:
            self._claims.release()
            raise
        self._warn_of_leftovers()
        self._restorer.start(f"restore {self._options.path.name}")

    def publish(self, publication: Publication) -> None:
        """Bring the files up to date; one that cannot be written keeps none of the others from it."""
        with self._writing:
            self._writer.publish(publication)
            self._wait(self._counts.next_end)

    def files(self, publication: Publication) -> Mapping[Path, Sequence[bytes]]:
        """Return the lines that each file would hold; any thread may ask."""
        counts = self._counts.all
        division = division_of(self._layout, counts)
        division.update(publication)
        return {self._layout.path(place): division.lines(place) for place in self._layout.places(max(counts))}

    def service_discovery(self, shard: tuple[int, int] | None) -> Mapping[str, Any]:
        """Return what lets Prometheus read the file, or that of one shard; each part is an entry of its own."""
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
        """Return the file that a group is written to and True, or why it is written to none and False."""
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
        """Yield what a single file costs that is there and large."""
        if self._layout.is_one_file:
            yield from advice.on_single_file(self._layout.count_targets())

    def facts(self) -> Mapping[str, str]:
        """Return how many parts there are, and what a single large file costs."""
        return advice.facts(self._layout, self._counts, self._writer.targets)

    def accept(self) -> list[str]:
        """End the overlaps after which Prometheus has to read more parts; returns a line for each."""
        with self._writing:
            ended = self._counts.end_early()
            self._wait(0.0 if ended else self._counts.next_end)
        return [f"targets leave the {count} parts before: {self._counts.current} parts are read now" for count in ended]

    def close(self) -> None:
        """Leave the files to others; they stay."""
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
        """Let overlaps be ended after some time, and not before; None for never."""
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
                # Closed, or told to wait for another time, since this began to wait for the lock.
                return
            try:
                self._writer.end_overlaps()
            except OutputError as error:
                _log.warning("%s; targets stay in their old parts, trying again", error)
                self._wait(RETRY_SECONDS)
            else:
                self._restorer.follow(self._writer.files.values())
                self._wait(self._counts.next_end)

    def _warn_of_leftovers(self) -> None:
        leftovers = leftovers_of(self._layout)
        if leftovers:
            _log.warning(
                "there are files of more shards than the %d that are written: %s; their targets are in the others "
                "too: delete them when no Prometheus reads them any more",
                self._options.shards,
                ", ".join(repr(str(path)) for path in leftovers),
            )
