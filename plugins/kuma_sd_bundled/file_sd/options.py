"""What can be set for file_sd, and which files that means."""

from dataclasses import dataclass
from pathlib import Path

from kuma_sd import DURATION, PATH, SHARD, SHARDING_METHODS, SHARDS, TEXT, OptionType, Shard, choice, option
from kuma_sd_bundled.labels import NAME


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
        "The file that Prometheus reads; {part} and {shard} in it are the number of each part and shard.",
    )
    format: str = option(
        "auto", choice("auto", "json", "yaml"), "Its format; auto follows the extension .json, .yml or .yaml."
    )
    mode: int = option(0o644, MODE, "Its permissions.")
    group: str = option("", TEXT, "The group that owns it; empty for the one kuma-sd runs as.")
    parts: int | None = option(
        None,
        SHARDS,
        "Divide the targets of each Prometheus into so many parts; 16 unless set, if path has a directory {part}.",
    )
    parts_overlap: float = option(
        900.0, DURATION, "How long targets stay in their old parts too when there are more parts than before."
    )
    shard: Shard | None = option(None, SHARD, "Write only this part of all targets, like 2/8 for the third of eight.")
    shards: int | None = option(None, SHARDS, "Divide the targets over so many files.")
    shard_by: str = option("__address__", NAME, "The label whose value says to which shard a target belongs.")
    shard_method: str = option(
        "hashmod",
        choice(*SHARDING_METHODS),
        "How it says so; hashmod as in Prometheus, consistent moves few targets when there is one shard more.",
    )
