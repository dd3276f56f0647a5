"""Go through the fields of protobuf messages without parsing them."""

from collections.abc import Mapping
from contextlib import suppress

from kuma_sd.core.value_limits import TooManyValuesError, may_have_more
from kuma_sd.mads.errors import GarbledError

_LONGEST_VARINT = 10

# The largest byte of a varint after which no other follows.
_LAST = 127

_VARINT, _FIXED64, _BYTES, _GROUP, _END_GROUP, _FIXED32 = range(6)

# In bytes. The fields of a group stand between its two tags.
_SIZES = {_FIXED64: 8, _FIXED32: 4, _GROUP: 0, _END_GROUP: 0}

Inner = Mapping[int, "Inner"]
"""The fields that are messages themselves by number, each with those in it."""


class _MalformedError(Exception):
    """The parser will refuse this too."""


def refuse_many_fields(data: bytes, inner: Inner, most: int) -> None:
    """Refuse a message that has too many fields.

    What is malformed passes, since the parser reads no further either.

    Args:
        data: the message.
        inner: the fields whose own fields are counted too.
        most: how many fields are allowed.

    Raises:
        TooManyValuesError: it has more.
    """
    if not may_have_more(data, most):
        return
    count = 0
    waiting = [(0, len(data), inner)]
    try:
        while waiting:
            place, end, messages = waiting.pop()
            while place < end:
                count += 1
                if count > most:
                    raise TooManyValuesError(f"it has more than {most:,} values")
                tag, is_bytes, place = _field(data, place)
                if is_bytes and (message := messages.get(tag >> 3)) is not None:
                    # A length that reaches beyond its message is malformed.
                    waiting.append((is_bytes, min(place, end), message))
    except _MalformedError:
        return


def number_and_end(data: bytes, place: int, most: int) -> tuple[int, int]:
    """Return the number of a field and where it ends; beyond the data if some of it is missing.

    A group ends behind all that is in it. No message of MADS has one, but parsers skip it like any unknown field.

    Args:
        data: a message.
        place: where the field begins.
        most: how many tags it may have if it is a group, with those of all that is in it.

    Raises:
        GarbledError: it is malformed, or a group with more tags.
    """
    open_groups: list[int] = []
    with suppress(_MalformedError):
        for _ in range(most):
            tag, _, place = _field(data, place)
            if tag & 7 == _GROUP:
                open_groups.append(tag >> 3)
            elif tag & 7 == _END_GROUP and (not open_groups or open_groups.pop() != tag >> 3):
                raise _MalformedError
            if not open_groups:
                return tag >> 3, place
    raise GarbledError("its answer is no DiscoveryResponse")


def _field(data: bytes, place: int) -> tuple[int, int, int]:
    """Go through a field, of a group only through one of its two tags.

    Returns:
        Its tag, where its bytes begin if it is a length and bytes, otherwise 0, and where it ends.
    """
    try:
        # Nearly all tags and sizes are one byte; calls would take most of the time.
        tag, place = (data[place], place + 1) if data[place] <= _LAST else _varint(data, place)
        wire_type = tag & 7
        if wire_type == _BYTES:
            size, place = (data[place], place + 1) if data[place] <= _LAST else _varint(data, place)
            return tag, place, place + size
        if wire_type == _VARINT:
            return tag, 0, _varint(data, place)[1]
        return tag, 0, place + _SIZES[wire_type]
    except (IndexError, KeyError):
        raise _MalformedError from None


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """Return a number, and where it ends."""
    number = 0
    for index in range(_LONGEST_VARINT):
        byte = data[place + index]
        number |= (byte & _LAST) << 7 * index
        if byte <= _LAST:
            return number, place + index + 1
    raise _MalformedError
