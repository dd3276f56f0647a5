"""Limit the number of values in received data before it is parsed.

Parsed data is larger than its bytes: an empty object of JSON takes three bytes and becomes 80, an empty message of
protobuf takes two and becomes 90. So a limit on the bytes alone does not limit memory.
"""

from collections.abc import Iterator, Sized

import msgspec

from kuma_sd.core.errors import SourceError

BYTES_PER_RESOURCE = 128
"""How many bytes of max-message-size allow one resource. The smallest of any Kuma release is larger."""

MOST_VALUES = 2**18
"""How many values something may have that is parsed at once: 8,000 targets with 25 labels, which take 64 MiB then."""

_COUNTED_TOGETHER = 2**16
"""Size of the parts in which commas are counted, in bytes. Splitting one takes a few times as much memory."""


class TooManyValuesError(SourceError):
    """Received data has too many values to be parsed."""


def most_resources(most_bytes: int) -> int:
    """Return how many resources a response may have.

    Args:
        most_bytes: the maximum size of the response, in bytes.
    """
    return max(MOST_VALUES, most_bytes // BYTES_PER_RESOURCE)


def may_have_more(data: Sized, most: int) -> bool:
    """Tell whether data is large enough for more values: each takes two bytes at least, in JSON and in protobuf."""
    return len(data) > 2 * most


def refuse_many_json_values(data: bytes | bytearray | msgspec.Raw, most: int = MOST_VALUES) -> None:
    """Refuse JSON that may have too many values.

    In a list or an object a comma stands between two values, so there are at most twice as many values as commas, and
    a few more for each level of nesting. Commas in strings do not count.

    Args:
        data: the JSON.
        most: how many commas are allowed.

    Raises:
        TooManyValuesError: it has more.
    """
    view = memoryview(data)
    # Most data has few commas even together with those in strings, and these are counted ten times as fast.
    if not may_have_more(view, most) or bytes(data).count(b",") <= most:
        return
    count = 0
    for some in _commas_outside_strings(view):
        count += some
        if count > most:
            raise TooManyValuesError(f"it has more than {most:,} values")


def _commas_outside_strings(data: memoryview) -> Iterator[int]:
    """Yield how many there are in each part of JSON. What is behind a place where it is malformed is never parsed."""
    escape = b""
    inside = 0
    for start in range(0, len(data), _COUNTED_TOGETHER):
        # First pairs of backslashes: only one that is left over escapes what follows it, maybe in the next part.
        text = (escape + data[start : start + _COUNTED_TOGETHER]).replace(b"\\\\", b"")
        escape = b"\\" if text.endswith(b"\\") else b""
        parts = text.removesuffix(escape).replace(b'\\"', b"").split(b'"')
        yield b"".join(parts[inside::2]).count(b",")
        inside ^= (len(parts) - 1) % 2
