"""The output for Prometheus's ``file_sd_configs``: files of JSON or YAML, one or one for each shard."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kuma_sd import ConfigError, Context, OutputError, OutputPlugin, Publication, Sharding, TargetGroup, hookimpl
from kuma_sd_bundled.file_sd.options import FileSDOptions, leftovers_of, paths_of
from kuma_sd_bundled.file_sd.restorer import Restorer
from kuma_sd_bundled.file_sd.target_file import TargetFile

__all__ = ["FileSD", "FileSDOptions", "kuma_sd_outputs"]

_log = logging.getLogger(__name__)


class FileSD:
    """Writes files, each whole or not at all, and only when its content changes; restores what somebody else changes.

    Args:
        options: where and how.

    Raises:
        ConfigError: the options do not fit together.
    """

    def __init__(self, options: FileSDOptions) -> None:
        self._options = options
        self._files = [TargetFile(path, options) for path in paths_of(options)]
        self._sharding = _sharding_of(options)
        self._restorer = Restorer(self._files)

    def start(self) -> None:
        """Make the directories, claim the files and watch them."""
        try:
            for file in self._files:
                file.claim()
        except OutputError:
            self._release()
            raise
        self._warn_of_leftovers()
        self._restorer.start(f"restore {self._options.path.name}")

    def publish(self, publication: Publication) -> None:
        """Bring the files up to date; one that cannot be written keeps none of the others from it."""
        failures = []
        # The last shard first: when there is one more, a target that moves there is for a moment in two, not in none.
        divided = _divide(publication, self._options, self._sharding)
        for file, lines in reversed(list(zip(self._files, divided, strict=True))):
            try:
                if file.publish(lines):
                    self._restorer.saw(file.path)
            except OutputError as error:
                failures.append(error)
        if failures:
            others = f"; {len(failures) - 1} more of its files failed too" if len(failures) > 1 else ""
            raise OutputError(f"{failures[0]}{others}") from failures[0]

    def files(self, publication: Publication) -> Mapping[Path, Sequence[bytes]]:
        """Return the lines that each file would hold; any thread may ask."""
        # Its own sharding, because one remembers for one thread only.
        divided = _divide(publication, self._options, _sharding_of(self._options))
        return dict(zip((file.path for file in self._files), divided, strict=True))

    def service_discovery(self, shard: tuple[int, int] | None) -> Mapping[str, Any]:
        """Return what lets Prometheus read the file, or that of one shard."""
        count, mine = self._options.shards, self._options.shard
        if count is not None and (shard is None or shard[1] != count):
            choices = f"from 0/{count} to {count - 1}/{count}"
            raise ConfigError(f"it writes {count} shards; choose one with --shard, {choices}")
        if count is None and shard not in (None, mine):
            raise ConfigError(f"it writes {f'shard {mine} alone' if mine else 'no shards'}; leave --shard away")
        file = self._files[0 if count is None or shard is None else shard[0]]
        return {"file_sd_configs": [{"files": [str(file.path.absolute())]}]}

    def explain(self, group: TargetGroup) -> tuple[str, bool]:
        """Return the file that a group is written to and True, or why it is written to none and False."""
        mine, sharding = self._options.shard, self._sharding
        number = sharding.shard_of(group) if sharding else 0
        if mine is None or number == mine.number:
            return str(self._files[0 if mine else number].path), True
        return f"it belongs to shard {number}/{mine.of}, and shard = {mine} is written here", False

    def close(self) -> None:
        """Leave the files to others; they stay."""
        self._restorer.close()
        self._release()

    def _release(self) -> None:
        for file in self._files:
            file.release()

    def _warn_of_leftovers(self) -> None:
        leftovers = leftovers_of(self._options)
        if leftovers:
            _log.warning(
                "there are files of more shards than the %d that are written: %s; their targets are in the others "
                "too: delete them when no Prometheus reads them any more",
                self._options.shards,
                ", ".join(repr(str(path)) for path in leftovers),
            )


def _sharding_of(options: FileSDOptions) -> Sharding | None:
    count = options.shard.of if options.shard else options.shards
    return None if count is None else Sharding(count, options.shard_by, options.shard_method)


def _divide(publication: Publication, options: FileSDOptions, sharding: Sharding | None) -> Sequence[Sequence[bytes]]:
    """Return the lines of each file."""
    if sharding is None:
        return [publication.lines]
    return [sharding.pick(publication, options.shard.number)] if options.shard else sharding.split(publication)


@hookimpl
def kuma_sd_outputs() -> Iterable[OutputPlugin]:
    """Describe file_sd."""
    yield OutputPlugin("file_sd", open=_open, options=FileSDOptions)


def _open(options: FileSDOptions, _context: Context) -> FileSD:
    return FileSD(options)
