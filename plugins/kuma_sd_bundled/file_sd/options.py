"""The options of the output ``file_sd``."""

from dataclasses import dataclass
from pathlib import Path

from kuma_sd import (
    DURATION,
    LABEL,
    MOST_SHARDS,
    NUMBER,
    PATH,
    SHARD,
    SHARDING_METHODS,
    TEXT,
    OptionType,
    Shard,
    choice,
    option,
)


def _parse_mode(text: str) -> int:
    if not (text.isdigit() and set(text) <= set("01234567") and int(text, 8) <= 0o777):  # noqa: PLR2004 (rwxrwxrwx)
        raise ValueError("is not a file mode like 0644")
    return int(text, 8)


MOST_FILES = 4096
"""Maximum number of files of one output, shards times parts."""

MODE = OptionType("mode", _parse_mode, lambda mode: f"{mode:04o}")


@dataclass(frozen=True)
class FileSDOptions:
    """The options of ``file_sd``: where and how to write the files."""

    path: Path = option(
        Path("/var/run/kuma-prometheus-sd/kuma.file_sd.json"),
        PATH,
        "File that Prometheus reads. {part} and {shard} in it stand for the number of each part and shard.",
    )
    format: str = option(
        "auto", choice("auto", "json", "yaml"), "Format of the file. auto follows the extension .json, .yml or .yaml."
    )
    mode: int = option(0o644, MODE, "Permissions of the file.")
    group: str = option("", TEXT, "Group of the file. If empty, the group that kuma-sd runs as.")
    parts: int | None = option(
        None,
        NUMBER,
        "Number of parts to divide the targets of each Prometheus into. If not set, 16 if path has a directory {part}.",
        at_least=1,
        at_most=MOST_SHARDS,
    )
    parts_overlap: float = option(
        900.0, DURATION, "How long targets also stay in their old parts after the number of parts grows."
    )
    shard: Shard | None = option(None, SHARD, "Write only this shard of the targets, like 2/8 for the third of eight.")
    shards: int | None = option(
        None, NUMBER, "Divide the targets among this many files.", at_least=1, at_most=MOST_SHARDS
    )
    shard_by: str = option("__address__", LABEL, "Label whose value chooses the shard of a target.")
    shard_method: str = option(
        "hashmod",
        choice(*SHARDING_METHODS),
        "How the value chooses the shard: hashmod as in Prometheus, or consistent, which moves few targets when "
        "a shard is added.",
    )
