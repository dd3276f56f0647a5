"""Read a DiscoveryResponse in protobuf. Importing this loads protobuf."""

import functools
import re

from google.protobuf.message import DecodeError

from kuma_sd.mads.codecs import ResourceCodec
from kuma_sd.mads.codecs.protobuf_fields import refuse_many_fields
from kuma_sd.mads.envelope import foreign
from kuma_sd.mads.errors import ForeignError, GarbledError
from kuma_sd.mads.pieces import Boundary, Envelope, Piece, PieceByPiece
from kuma_sd.proto.discovery_pb2 import ReceivedResponse


def parse(data: bytes, codec: ResourceCodec, most: int) -> PieceByPiece:
    """Parse a response.

    Args:
        data: the message.
        codec: decodes its resources.
        most: how many values it may have.

    Raises:
        GarbledError: it is no DiscoveryResponse, or none of MADS.
        TooManyValuesError: it has too many values.
    """

    def read(start: int, end: int) -> Piece:
        piece = data[start:end]
        refuse_many_fields(piece, {}, most)
        try:
            message = ReceivedResponse.FromString(piece)
        except DecodeError as error:
            raise GarbledError("its answer is no DiscoveryResponse") from error
        envelope = Envelope(message.type_url, message.version_info, message.nonce)
        return Piece(envelope, len(message.resources), message.resources)

    response = PieceByPiece(data, _boundary(codec.type_url), read, most)
    if problem := foreign(codec, response.envelope.type_url, response.envelope.version):
        raise ForeignError(f"its answer is no MADS response ({problem})")
    return response


@functools.cache
def _boundary(type_url: str) -> Boundary:
    # The type is the first field of an Any, which begins with its own tag and length.
    mark = b"\x0a%c%b" % (len(type_url), type_url.encode())
    return Boundary(mark, re.compile(rb"\x12[\x80-\xff]{0,4}[\x00-\x7f]\Z"))
