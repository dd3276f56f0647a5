"""The output for Prometheus's ``file_sd_configs``: one file of JSON or YAML."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kuma_sd import (
    PATH,
    TEXT,
    ConfigError,
    Context,
    OptionType,
    OutputError,
    OutputPlugin,
    Publication,
    choice,
    files,
    hookimpl,
    option,
)

_log = logging.getLogger(__name__)

LINES_IN_A_CHUNK = 4096

FIRST_PAUSE = 1.0
"""How long to wait before the file is restored a second time, in seconds; doubled each time, until there was a calm."""

LONGEST_PAUSE = 300.0


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
    """Writes one file, whole or not at all, and only when its content changes; restores it if somebody else changes it.

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
        self._writing = threading.Lock()
        self._watcher = files.Watcher([options.path], lambda _changed: self._restore())
        self._closing = threading.Event()
        self._pause = 0.0
        self._restored = float("-inf")
        self._failing = False

    def start(self) -> None:
        """Make the directory, claim the file and watch it."""
        self._claim = files.Claim(self._options.path)
        threading.Thread(target=self._watcher.run, name=f"watch {self._options.path.name}", daemon=True).start()

    def publish(self, publication: Publication) -> None:
        """Bring the file up to date."""
        lines, options = publication.lines, self._options
        with self._writing:
            if lines == self._lines:
                return
            # Before the first publication the file may hold just this already: another process wrote it.
            if self._lines is not None or not files.holds(options.path, self._chunks(lines), options.mode):
                self._write(lines)
            self._lines = lines
            self._watcher.saw(options.path)

    def close(self) -> None:
        """Leave the file to others; it stays."""
        self._closing.set()
        self._watcher.close()
        if self._claim:
            self._claim.release()
            self._claim = None

    def _restore(self) -> None:
        """See that the file is as we left it; the more often somebody else changes it, the later."""
        if time.monotonic() - self._restored > LONGEST_PAUSE:
            self._pause = 0.0
        while not self._closing.wait(self._pause) and not self._is_as_left():
            self._pause = _longer(self._pause)

    def _is_as_left(self) -> bool:
        path, mode = self._options.path, self._options.mode
        with self._writing:
            if self._lines is None or files.holds(path, self._chunks(self._lines), mode):
                return True
            try:
                self._write(self._lines)
            except OutputError as error:
                if not self._failing:
                    _log.warning("%s; somebody else changed or deleted it, it will be restored", error)
                self._failing = True
                return False
            self._watcher.saw(path)
        self._failing = False
        self._say_restored()
        return True

    def _write(self, lines: Sequence[bytes]) -> None:
        options = self._options
        if self._claim:
            self._claim.renew()
        files.replace(options.path, self._chunks(lines), options.mode, options.group)

    def _say_restored(self) -> None:
        often = f", again; next time only after {_longer(self._pause):g} s" if self._pause else ""
        _log.warning("%r was changed or deleted by somebody else%s: restored", str(self._options.path), often)
        self._restored, self._pause = time.monotonic(), _longer(self._pause)


def _longer(pause: float) -> float:
    return min(LONGEST_PAUSE, pause * 2 or FIRST_PAUSE)


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
