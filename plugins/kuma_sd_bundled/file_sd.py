"""The output for Prometheus's ``file_sd_configs``: one file of JSON or YAML."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kuma_sd import (
    PATH,
    TEXT,
    ConfigError,
    Context,
    OptionType,
    OutputPlugin,
    Publication,
    choice,
    files,
    hookimpl,
    option,
)

LINES_IN_A_CHUNK = 4096


def _parse_mode(text: str) -> int:
    if not (text.isdigit() and set(text) <= set("01234567") and int(text, 8) <= 0o777):  # noqa: PLR2004 (rwxrwxrwx)
        raise ValueError("is not a file mode like 0644")
    return int(text, 8)


MODE = OptionType("mode", _parse_mode, lambda mode: f"{mode:04o}")


@dataclass(frozen=True)
class FileSDOptions:
    """Where and how to write the file."""

    path: Path = option(Path("/var/run/kuma-prometheus-sd/kuma.file_sd.json"), PATH, "The file that Prometheus reads.")
    format: str = option(
        "auto", choice("auto", "json", "yaml"), "Its format; auto follows the extension .json, .yml or .yaml."
    )
    mode: int = option(0o644, MODE, "Its permissions.")
    group: str = option("", TEXT, "The group that owns it; empty for the one kuma-sd runs as.")


class FileSD:
    """Writes one file, whole or not at all, and only when its content changes.

    Args:
        options: where and how.

    Raises:
        ConfigError: the format cannot be told from the path.
    """

    def __init__(self, options: FileSDOptions) -> None:
        self._options = options
        self._chunks = _chunks_of(options)
        self._claim: files.Claim | None = None
        self._lines: Sequence[bytes] | None = None

    def start(self) -> None:
        """Make the directory and claim the file."""
        self._claim = files.Claim(self._options.path)

    def publish(self, publication: Publication) -> None:
        """Bring the file up to date."""
        lines, options = publication.lines, self._options
        if lines == self._lines:
            return
        # Before the first publication the file may hold just this already: another process wrote it.
        if self._lines is not None or not files.holds(options.path, self._chunks(lines), options.mode):
            files.replace(options.path, self._chunks(lines), options.mode, options.group)
        self._lines = lines

    def close(self) -> None:
        """Leave the file to others; it stays."""
        if self._claim:
            self._claim.release()
            self._claim = None


def json_chunks(lines: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the lines as a JSON array, in pieces of bounded size."""
    if not lines:
        yield b"[]\n"
        return
    for start in range(0, len(lines), LINES_IN_A_CHUNK):
        yield b",\n" if start else b"[\n"
        yield b",\n".join(lines[start : start + LINES_IN_A_CHUNK])
    yield b"\n]\n"


def yaml_chunks(lines: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the lines as a YAML list, in pieces of bounded size; a line of JSON is YAML as it stands."""
    if not lines:
        yield b"[]\n"
        return
    for start in range(0, len(lines), LINES_IN_A_CHUNK):
        yield b"- "
        yield b"\n- ".join(lines[start : start + LINES_IN_A_CHUNK])
        yield b"\n"


_FORMATS = {"json": json_chunks, "yaml": yaml_chunks, ".json": json_chunks, ".yml": yaml_chunks, ".yaml": yaml_chunks}


def _chunks_of(options: FileSDOptions) -> Callable[[Sequence[bytes]], Iterator[bytes]]:
    format_ = options.path.suffix.lower() if options.format == "auto" else options.format
    if format_ not in _FORMATS:
        raise ConfigError(
            f"the format of {str(options.path)!r} cannot be told; end it in .json, .yml or .yaml, or set format"
        )
    return _FORMATS[format_]


@hookimpl
def kuma_sd_outputs() -> Iterable[OutputPlugin]:
    """Describe file_sd."""
    yield OutputPlugin("file_sd", open=_open, options=FileSDOptions)


def _open(options: FileSDOptions, _context: Context) -> FileSD:
    return FileSD(options)
