"""Read a DiscoveryResponse in protobuf. Importing this loads protobuf."""

import re
from collections.abc import Iterator

from google.protobuf.message import DecodeError

from kuma_sd.mads.codecs import ResourceCodec
from kuma_sd.mads.codecs.protobuf_fields import number_and_end
from kuma_sd.mads.envelope import MOST_FIELDS, Envelope, FieldLimits, foreign
from kuma_sd.mads.errors import ForeignError, GarbledError
from kuma_sd.mads.pieces import Piece, Resources, split
from kuma_sd.proto.discovery_pb2 import ReceivedResponse

# The tag of a resource, and its size.
_RESOURCE_BEGINS = re.compile(rb"\x12[\x80-\xff]{0,4}[\x00-\x7f]\Z")

_LONGEST_BEGIN = 6


def parse(data: bytes, codec: ResourceCodec, most: int) -> tuple[Envelope, Resources]:
    """Parse a response.

    Args:
        data: the message.
        codec: decodes its resources.
        most: how many resources it may have.

    Raises:
        GarbledError: it is no DiscoveryResponse, or none of MADS.
        TooManyValuesError: it has too many resources.
    """
    fields = _Fields(data, codec.type_url)
    resources = split(fields, 0, most)
    if problem := foreign(codec, fields.envelope):
        raise ForeignError(f"its answer is no MADS response ({problem})")
    return fields.envelope, resources


class _Fields:
    """The fields of a response, of which nearly all are resources. Its places are where a field ends.

    Args:
        data: the message.
        type_url: the type of most resources.
    """

    def __init__(self, data: bytes, type_url: str) -> None:
        self._data = data
        # A resource begins with its type, and that with a tag and a length.
        self._type = b"\x0a%c%b" % (len(type_url), type_url.encode())
        self._limits = FieldLimits()
        self.envelope = Envelope()

    def is_end(self, place: int) -> bool:
        return place >= len(self._data)

    def guess(self, start: int, size: int) -> int:
        data, place = self._data, start + size
        if len(data) < place + size:
            return len(data)
        while (place := data.find(self._type, place + 1, start + 2 * size)) >= 0:
            if begin := _RESOURCE_BEGINS.search(data, place - _LONGEST_BEGIN, place):
                return begin.start()
        return -1

    def following(self, place: int) -> int:
        number, end = number_and_end(self._data, place, MOST_FIELDS)
        if number != ReceivedResponse.RESOURCES_FIELD_NUMBER:
            self._limits.add(end - place)
        return end

    def read(self, start: int, end: int) -> Piece:
        message = _parsed(self._data[start:end])
        before = self.envelope
        self.envelope = Envelope(
            message.type_url or before.type_url, message.version_info or before.version, message.nonce or before.nonce
        )
        return _Piece(self._data, start, end, len(message.resources))


class _Piece:
    """Some resources of a response.

    They are parsed again at each iteration. Keeping them would hold the response twice, and getting memory for that
    takes more time than parsing.

    Args:
        data: the message.
        start: where they begin.
        end: where they end.
        count: how many they are.
    """

    __slots__ = ("_count", "_data", "_end", "_start")

    def __init__(self, data: bytes, start: int, end: int, count: int) -> None:
        self._data = data
        self._start = start
        self._end = end
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[bytes]:
        return iter(_parsed(self._data[self._start : self._end]).resources)


def _parsed(data: bytes) -> ReceivedResponse:
    try:
        return ReceivedResponse.FromString(data)
    except DecodeError as error:
        raise GarbledError("its answer is no DiscoveryResponse") from error
