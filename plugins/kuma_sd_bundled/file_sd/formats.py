"""What a list of lines looks like as a file of JSON or YAML."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from kuma_sd import ConfigError

LINES_IN_A_CHUNK = 1024
"""Lines that are joined to one piece: fewer than malloc would map, and hand back to the system, for each piece anew."""

Chunks = Callable[[Sequence[bytes]], Iterator[bytes]]


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


def lines_in(content: bytes) -> list[bytes]:
    """Return the lines of a file that `json_chunks()` or `yaml_chunks()` made; of other files, whatever is in them."""
    return [line.removeprefix(b"- ").removesuffix(b",") for line in content.splitlines()]


def chunks_of(path: Path, format_: str) -> Chunks:
    """Return what makes the content of a file.

    Args:
        path: the file.
        format_: ``json``, ``yaml``, or ``auto`` to follow its extension.

    Raises:
        ConfigError: the extension says nothing.
    """
    name = path.suffix.lower() if format_ == "auto" else format_
    if name not in _FORMATS:
        raise ConfigError(f"the name {str(path)!r} shows no format; end it in .json, .yml or .yaml, or set format")
    return _FORMATS[name]
