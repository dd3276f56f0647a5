"""Limit the number of values in received data before it is parsed.

Parsed data is larger than its bytes: an empty object of JSON takes three bytes and becomes 80, an empty message of
protobuf takes two and becomes 90. So a limit on the bytes alone does not limit memory.
"""

from collections.abc import Sized

import msgspec

from kuma_sd.core.errors import SourceError

BYTES_PER_VALUE = 128
"""How many bytes of max-message-size allow one value. The smallest target of any Kuma release is larger."""

MOST_VALUES = 2**18
"""The number of values that is always allowed; parsed, so many take less than 64 MiB."""


class TooManyValuesError(SourceError):
    """Received data has too many values to be parsed.

    Args:
        most: how many are allowed.
        what: what has too many.
        advice: what to do.
    """

    def __init__(self, most: int, what: str = "it", advice: str = "") -> None:
        super().__init__(f"{what} has more than {most:,} values{advice and f'; {advice}'}")


def most_values(most_bytes: int) -> int:
    """Return how many values a response may have.

    Args:
        most_bytes: the maximum size of the response, in bytes.
    """
    return max(MOST_VALUES, most_bytes // BYTES_PER_VALUE)


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
        raise TooManyValuesError(most)
