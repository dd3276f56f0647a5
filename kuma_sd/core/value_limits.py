"""Limit the number of values in received data before it is parsed.

Parsed data is larger than its bytes: an empty object of JSON takes three bytes and becomes 80, an empty message of
protobuf takes two and becomes 90. So a limit on the bytes alone does not limit memory.
"""

from collections.abc import Sized

import msgspec

from kuma_sd.core.errors import SourceError

BYTES_PER_RESOURCE = 128
"""How many bytes of max-message-size allow one resource. The smallest of any Kuma release is larger."""

MOST_VALUES = 2**18
"""How many values something may have that is parsed at once: 8,000 targets with 25 labels, which take 64 MiB then."""


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
    a few more for each level of nesting. Commas in strings count too.

    Args:
        data: the JSON.
        most: how many commas are allowed.

    Raises:
        TooManyValuesError: it has more.
    """
    if may_have_more(memoryview(data), most) and bytes(data).count(b",") > most:
        raise TooManyValuesError(f"it has more than {most:,} values")
