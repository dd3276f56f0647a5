"""Go through the fields of protobuf messages without parsing them."""

from collections.abc import Mapping
from contextlib import suppress

from kuma_sd.core.value_limits import TooManyValuesError, may_have_more
from kuma_sd.mads.errors import GarbledError

_LONGEST_VARINT = 10

_VARINT, _FIXED64, _BYTES, _GROUP, _END_GROUP, _FIXED32 = range(6)

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
                tag, place = _varint(data, place)
                following, is_bytes = _end_of_value(data, place, tag & 7)
                if is_bytes and (message := messages.get(tag >> 3)) is not None:
                    # A length that reaches beyond its message is malformed.
                    waiting.append((is_bytes, min(following, end), message))
                place = following
    except _MalformedError:
        return


def end_of_field(data: bytes, place: int) -> int:
    """Return where a field ends; beyond the data if some of it is missing.

    Args:
        data: a message.
        place: where the field begins.

    Raises:
        GarbledError: it is malformed, or a group, which no message of MADS has.
    """
    with suppress(_MalformedError):
        tag, place = _varint(data, place)
        if tag & 7 not in (_GROUP, _END_GROUP):
            return _end_of_value(data, place, tag & 7)[0]
    raise GarbledError("its answer is no DiscoveryResponse")


def _end_of_value(data: bytes, place: int, wire_type: int) -> tuple[int, int]:
    """Return where a value ends, and where its bytes begin if it is a length and bytes, otherwise 0."""
    if wire_type == _BYTES:
        size, place = _varint(data, place)
        return place + size, place
    if wire_type == _VARINT:
        return _varint(data, place)[1], 0
    # The fields of a group stand between its two tags.
    sizes = {_FIXED64: 8, _FIXED32: 4, _GROUP: 0, _END_GROUP: 0}
    if wire_type not in sizes:
        raise _MalformedError
    return place + sizes[wire_type], 0


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """Return a number, and where it ends."""
    number = 0
    for index, byte in enumerate(data[place : place + _LONGEST_VARINT]):
        number |= (byte & 127) << 7 * index
        if byte < 128:  # noqa: PLR2004 (the highest bit says whether more follow)
            return number, place + index + 1
    raise _MalformedError
