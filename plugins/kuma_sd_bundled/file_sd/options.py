"""What can be set for file_sd, and which files that means."""

from dataclasses import dataclass
from pathlib import Path

from kuma_sd import (
    MOST_SHARDS,
    PATH,
    SHARD,
    SHARDING_METHODS,
    SHARDS,
    TEXT,
    ConfigError,
    OptionType,
    Shard,
    choice,
    option,
)
from kuma_sd_bundled.labels import NAME

NUMBER_OF_SHARD = "{shard}"
"""Where the number of a shard goes in a path."""


def _parse_mode(text: str) -> int:
    if not (text.isdigit() and set(text) <= set("01234567") and int(text, 8) <= 0o777):  # noqa: PLR2004 (rwxrwxrwx)
        raise ValueError("is not a file mode like 0644")
    return int(text, 8)


MODE = OptionType("mode", _parse_mode, lambda mode: f"{mode:04o}")


@dataclass(frozen=True)
class FileSDOptions:
    """Where and how to write the file, or the files."""

    path: Path = option(
        Path("/var/run/kuma-prometheus-sd/kuma.file_sd.json"),
        PATH,
        "The file that Prometheus reads; with shards, {shard} in it is the number of each.",
    )
    format: str = option(
        "auto", choice("auto", "json", "yaml"), "Its format; auto follows the extension .json, .yml or .yaml."
    )
    mode: int = option(0o644, MODE, "Its permissions.")
    group: str = option("", TEXT, "The group that owns it; empty for the one kuma-sd runs as.")
    shard: Shard | None = option(None, SHARD, "Write only this part of all targets, like 2/8 for the third of eight.")
    shards: int | None = option(None, SHARDS, "Divide the targets over so many files.")
    shard_by: str = option("__address__", NAME, "The label whose value says to which shard a target belongs.")
    shard_method: str = option(
        "hashmod",
        choice(*SHARDING_METHODS),
        "How it says so; hashmod as in Prometheus, consistent moves few targets when there is one shard more.",
    )


def paths_of(options: FileSDOptions) -> list[Path]:
    """Return the files to write, in the order of their shards.

    Raises:
        ConfigError: it is not clear which.
    """
    numbered = NUMBER_OF_SHARD in str(options.path)
    if options.shard is not None and options.shards is not None:
        raise ConfigError("shard and shards are both set; shard writes one shard, shards writes all of them")
    if options.shards is None:
        if numbered:
            raise ConfigError(
                f"path has {NUMBER_OF_SHARD} in it, which needs shards; for one shard alone write its number"
            )
        return [options.path]
    if not numbered:
        raise ConfigError(
            f"shards needs {NUMBER_OF_SHARD} in path, which becomes each shard's number, as in kuma-{{shard}}.json"
        )
    return [_path_of(options, number) for number in range(options.shards)]


def leftovers_of(options: FileSDOptions) -> list[Path]:
    """Return the files that exist of shards which there are no more."""
    if options.shards is None:
        return []
    higher = [_path_of(options, number) for number in range(options.shards, MOST_SHARDS)]
    return [path for path in higher if path.exists()]


def _path_of(options: FileSDOptions, number: int) -> Path:
    return Path(str(options.path).replace(NUMBER_OF_SHARD, str(number)))
