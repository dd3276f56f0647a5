"""The formats in which Prometheus reads a list of targets: JSON and YAML, one line for each target group."""

from collections.abc import Callable, Iterator, Sequence

LINES_IN_A_CHUNK = 1024
"""Number of lines that are joined at a time; few enough that other threads do not wait for the interpreter, and that
malloc does not map each piece anew."""

Chunks = Callable[[Sequence[bytes]], Iterator[bytes]]
"""Yields the content of a list in pieces of bounded size."""


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


def lines_in(content: bytes) -> list[bytes]:
    """Return the lines of a file that `json_chunks()` or `yaml_chunks()` made; of other files, whatever is in them."""
    return [line.removeprefix(b"- ").removesuffix(b",") for line in content.splitlines()]
