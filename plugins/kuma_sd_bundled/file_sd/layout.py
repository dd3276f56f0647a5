"""Compute the files of an output: one, one per shard, or one per part of each; and the targets in each."""

from collections.abc import Collection, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import msgspec

from kuma_sd import MOST_SHARDS, STAGING, ConfigError, Sharding, TargetGroup, is_trusted, open_regular
from kuma_sd_bundled.file_sd.options import MOST_FILES, FileSDOptions
from kuma_sd_bundled.file_sd.parts import DEFAULT_PARTS, MOST_PARTS, Place, Rule, picker_of

NUMBER_OF_SHARD = "{shard}"
"""Placeholder for the number of a shard in a path."""

NUMBER_OF_PART = "{part}"
"""Placeholder for the number of a part in a path."""


# A gibibyte holds a few million targets.
_PIECE = 2**20
_MOST_PIECES = 2**10


class Layout(msgspec.Struct, frozen=True):
    """The files of one output.

    Args:
        options: the options of the output.
        shards: the shards that are written here; 0 where there are no shards.
        parts: the number of parts of each shard.
        sharding: computes the shard of a group; None if there are no shards.
    """

    options: FileSDOptions
    shards: Sequence[int]
    parts: int
    sharding: Sharding | None

    @classmethod
    def of(cls, options: FileSDOptions) -> "Layout":
        """Return the layout that options describe.

        Raises:
            ConfigError: the options contradict each other.
        """
        shards, parts, sharding = _shards(options), _parts(options), _sharding(options)
        if len(shards) * parts > MOST_FILES:
            raise ConfigError(f"{len(shards)} shards of {parts} parts are more than {MOST_FILES} files; set fewer")
        return cls(options, shards, parts, sharding)

    @property
    def has_parts(self) -> bool:
        """Whether shards are divided into parts."""
        return NUMBER_OF_PART in str(self.options.path)

    @property
    def is_one_file(self) -> bool:
        """Whether all targets go in one file."""
        return not (self.has_parts or self.options.shard or self.options.shards)

    def places(self, parts: int) -> list[Place]:
        """Return the files for this number of parts, in the order of shards and parts."""
        return [Place(shard, part) for shard in self.shards for part in range(parts)]

    def path(self, place: Place) -> Path:
        """Return the path of a file."""
        return Path(self._shard_path(place.shard).replace(NUMBER_OF_PART, str(place.part)))

    @property
    def claimed(self) -> list[Path]:
        """The paths that are locked to write each shard: its file, or a path next to the directories of its parts."""
        return [self._claimed(shard) for shard in self.shards]

    @property
    def record(self) -> Path:
        """The path of the record of the numbers of parts."""
        claimed = self._claimed(self.shards[0])
        return claimed.parent / STAGING / f"{claimed.name}.parts"

    @property
    def roots(self) -> list[Path]:
        """The directories that contain the directories of parts."""
        return [self._root(shard) for shard in self.shards] if self.has_parts else []

    def count_targets(self) -> int:
        """Return the number of targets in the first file, or a few less, since it is read in pieces."""
        try:
            with open_regular(self.path(Place(self.shards[0], 0))) as file:
                pieces = islice(iter(partial(file.read, _PIECE), b""), _MOST_PIECES)
                return sum(piece.count(b'"targets":') for piece in pieces)
        except OSError:
            return 0

    def existing_parts(self) -> int:
        """Return how many parts the first shard has files of, by the highest number."""
        numbers = (part for part in reversed(range(MOST_PARTS)) if is_trusted(self.path(Place(self.shards[0], part))))
        return next(numbers, -1) + 1

    def rule(self, counts: Collection[int]) -> Rule:
        """Return a function that returns the files of a group.

        Args:
            counts: numbers of parts; a group is in its part of each of them.
        """
        pick = {shard: picker_of(shard, counts) for shard in self.shards}
        if self.sharding is None:
            return next(iter(pick.values()))
        shard_of = self.sharding.shard_of

        def rule(group: TargetGroup) -> Sequence[Place]:
            picker = pick.get(shard_of(group))
            return picker(group) if picker else ()

        return rule

    def _claimed(self, shard: int) -> Path:
        path = Path(self._shard_path(shard))
        if not self.has_parts:
            return path
        root = self._root(shard)
        return root / str(path.relative_to(root)).replace("/", "_")

    def _root(self, shard: int) -> Path:
        path = Path(self._shard_path(shard))
        return next(parent for parent in path.parents if NUMBER_OF_PART not in str(parent))

    def _shard_path(self, shard: int) -> str:
        return str(self.options.path).replace(NUMBER_OF_SHARD, str(shard))


def leftovers_of(layout: Layout) -> list[Path]:
    """Return the existing files of removed shards."""
    if layout.options.shards is None:
        return []
    higher = (layout.path(Place(shard, 0)) for shard in range(layout.options.shards, MOST_SHARDS))
    return [path for path in higher if path.exists()]


def _shards(options: FileSDOptions) -> Sequence[int]:
    numbered = NUMBER_OF_SHARD in str(options.path)
    if options.shard is not None and options.shards is not None:
        raise ConfigError(
            "shard and shards are both set; shard writes one shard, shards writes all of them", option="shard"
        )
    if options.shards is None and numbered:
        raise ConfigError(
            f"path has {NUMBER_OF_SHARD} in it, which needs shards; for one shard alone write its number", option="path"
        )
    if options.shards is not None and not numbered:
        raise ConfigError(
            f"shards needs {NUMBER_OF_SHARD} in path, which becomes each shard's number, as in kuma-{{shard}}.json",
            option="shards",
        )
    if options.shards is not None:
        return range(options.shards)
    return [options.shard.number if options.shard else 0]


def _sharding(options: FileSDOptions) -> Sharding | None:
    count = options.shard.of if options.shard else options.shards
    return None if count is None else Sharding(count, options.shard_by, options.shard_method)


def _parts(options: FileSDOptions) -> int:
    directories, name = str(options.path.parent), options.path.name
    if NUMBER_OF_PART in name:
        raise ConfigError(
            f"path has {NUMBER_OF_PART} in the name of the file; each part needs a directory of its own, because "
            "Prometheus reads all files of a directory again when one changes; write it like {part}/kuma.json",
            option="path",
        )
    if NUMBER_OF_PART in directories:
        return options.parts or DEFAULT_PARTS
    if options.parts is not None:
        raise ConfigError(f"parts needs a directory {NUMBER_OF_PART} in path, as in {{part}}/kuma.json", option="parts")
    return 1
