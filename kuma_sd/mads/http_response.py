"""Read a DiscoveryResponse in JSON."""

import re
from collections.abc import Iterator, Sequence

import msgspec

from kuma_sd.core.decoding_errors import UNREADABLE
from kuma_sd.core.response_descriptions import body_shown, problem_shown
from kuma_sd.core.value_limits import TooManyValuesError
from kuma_sd.mads.codecs.v1_json import V1_JSON
from kuma_sd.mads.envelope import Envelope, foreign
from kuma_sd.mads.errors import ForeignError, GarbledError
from kuma_sd.mads.pieces import Resources, split

_LIST_BEGINS = re.compile(rb'"resources"\s*:\s*(\[)')

# Kuma writes the type first. Whoever writes it elsewhere may mean targets of the same resource.
_BETWEEN_RESOURCES, _BETWEEN_OBJECTS = (re.compile(rb"\}\s*(,)\s*\{" + key) for key in (rb'\s*"@type"', b""))

_NEAR = 2**14
"""How far to search for the type, in bytes."""

_EMPTY_REST = re.compile(rb"\s*\]")

# Stands for the list while all around it is parsed.
_PLACEHOLDER = b'["the resources"]'

# After the value that is to be decoded, msgspec finds more, and says where, counted from 1.
_MORE_FOLLOWS = re.compile(r"JSON is malformed: trailing characters \(byte ([0-9]+)\)")


class _Message(msgspec.Struct):
    # Proto JSON: each field has two possible spellings.
    version_info: str = ""
    version_in_camel_case: str = msgspec.field(default="", name="versionInfo")
    type_url: str = ""
    type_in_camel_case: str = msgspec.field(default="", name="typeUrl")
    resources: msgspec.Raw = msgspec.Raw(b"null")

    @property
    def envelope(self) -> Envelope:
        return Envelope(self.type_url or self.type_in_camel_case, self.version_info or self.version_in_camel_case)


_MESSAGE = msgspec.json.Decoder(_Message)
_VALUE = msgspec.json.Decoder(msgspec.Raw)
_LIST = msgspec.json.Decoder(list[msgspec.Raw])


def parse(body: bytearray, most: int) -> tuple[Envelope, Resources]:
    """Parse a response.

    Args:
        body: its body. It must not change afterwards, since the resources lie in it.
        most: how many resources it may have.

    Raises:
        GarbledError: it is no DiscoveryResponse, or none of MADS.
        TooManyValuesError: it has too many resources.
    """
    envelope, resources = _searched(body, most) or _parsed(body, most)
    if problem := foreign(V1_JSON, envelope.type_url, envelope.version):
        raise ForeignError(_refusal(problem, body))
    return envelope, resources


def _searched(body: bytearray, most: int) -> tuple[Envelope, Resources] | None:
    """Search for the list and parse it, then all around it; None if it is somewhere else, or malformed."""
    begin = _LIST_BEGINS.search(body)
    if not begin:
        return None
    try:
        resources = split(_JsonList(body), begin.start(1), most)
        view = memoryview(body)
        message = _MESSAGE.decode(b"".join((view[: begin.start(1)], _PLACEHOLDER, view[resources.end + 1 :])))
    except TooManyValuesError:
        raise
    except (GarbledError, *UNREADABLE):
        return None
    return (message.envelope, resources) if bytes(message.resources) == _PLACEHOLDER else None


def _parsed(body: bytearray, most: int) -> tuple[Envelope, Resources]:
    """Parse all but the list, then the list; this takes twice as long."""
    try:
        message = _MESSAGE.decode(body)
        values = bytearray(message.resources)
        if values == b"null":
            values = bytearray(b"[]")
        if not values.startswith(b"["):
            _LIST.decode(values)
    except UNREADABLE as error:
        raise GarbledError(_refusal(problem_shown(error), body)) from error
    return message.envelope, split(_JsonList(values), 0, most)


class _JsonList:
    """A list in JSON. Its places are its opening bracket, the commas between its values, and its closing bracket.

    Args:
        data: in which it is. To parse a part of the list, what stands around it becomes brackets for that time. Copying
            the part would take longer than all else that is done to find the resources.
    """

    def __init__(self, data: bytearray) -> None:
        self._data = data

    def is_end(self, place: int) -> bool:
        return self._data[place] == ord("]")

    def guess(self, start: int, size: int) -> int:
        data, place, end = self._data, start + size, start + 2 * size
        between = _BETWEEN_RESOURCES.search(data, place, place + _NEAR) or _BETWEEN_OBJECTS.search(data, place, end)
        # Behind the list there is mostly no other one.
        return between.start(1) if between else data.rfind(b"]", start + 1, end)

    def following(self, place: int) -> int:
        if end := _EMPTY_REST.match(self._data, place + 1):
            return end.end() - 1
        try:
            _VALUE.decode(memoryview(self._data)[place + 1 :])
        except UNREADABLE as error:
            if more := _MORE_FOLLOWS.fullmatch(str(error)):
                return place + int(more[1])
        raise GarbledError("the list of resources is malformed")

    def read(self, start: int, end: int) -> "_Copies":
        data, around = self._data, (self._data[start], self._data[end])
        if around[1] not in b",]":
            raise GarbledError("the list of resources is malformed")
        data[start], data[end] = b"[]"
        try:
            return _Copies(_LIST.decode(memoryview(data)[start : end + 1]))
        except UNREADABLE as error:
            raise GarbledError("the list of resources is malformed") from error
        finally:
            data[start], data[end] = around


class _Copies:
    def __init__(self, slices: Sequence[msgspec.Raw]) -> None:
        self._slices = slices

    def __len__(self) -> int:
        return len(self._slices)

    def __iter__(self) -> Iterator[bytes]:
        return map(bytes, self._slices)


def _refusal(problem: str, body: bytearray) -> str:
    return f"its answer is no MADS response ({problem}); its body is {body_shown(body)}"
