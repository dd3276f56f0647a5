"""Read a DiscoveryResponse in JSON."""

import re

import msgspec

from kuma_sd.core.decoding_errors import UNREADABLE
from kuma_sd.core.response_descriptions import body_shown, problem_shown
from kuma_sd.core.value_limits import TooManyValuesError, refuse_many_json_values
from kuma_sd.mads.codecs.v1_json import V1_JSON
from kuma_sd.mads.envelope import foreign
from kuma_sd.mads.errors import ForeignError, GarbledError
from kuma_sd.mads.pieces import Boundary, Envelope, Piece, PieceByPiece

_BOUNDARY = Boundary(b'"@type"', re.compile(rb",\s*\{\s*\Z"))

# What makes a piece a response of its own. The mark at its end shows that it was cut in the list of resources.
_OPENING, _MARK = b'{"resources":[', b'"and so on"'
_CLOSING = b",%b]}" % _MARK


class _Message(msgspec.Struct):
    # Proto JSON: each field has two possible spellings.
    version_info: str = ""
    version_in_camel_case: str = msgspec.field(default="", name="versionInfo")
    type_url: str = ""
    type_in_camel_case: str = msgspec.field(default="", name="typeUrl")
    resources: list[msgspec.Raw] | None = None


_DECODER = msgspec.json.Decoder(_Message)


def parse(body: bytes, most: int) -> PieceByPiece:
    """Parse a response.

    Args:
        body: its body.
        most: how many values it may have.

    Raises:
        GarbledError: it is no DiscoveryResponse, or none of MADS.
        TooManyValuesError: it has too many values.
    """

    def read(start: int, end: int) -> Piece:
        message = _message(body, start, end, most)
        type_url = message.type_url or message.type_in_camel_case
        version = message.version_info or message.version_in_camel_case
        resources = message.resources or []
        return Piece(Envelope(type_url, version), len(resources), map(bytes, resources))

    response = PieceByPiece(body, _BOUNDARY, read, most)
    if problem := foreign(V1_JSON, response.envelope.type_url, response.envelope.version):
        raise ForeignError(_refusal(problem, body))
    return response


def _message(body: bytes, start: int, end: int, most: int) -> _Message:
    is_first, is_last = not start, end == len(body)
    data = body
    if not (is_first and is_last):
        piece = memoryview(body)[start if is_first else start + 1 : end]
        data = b"".join((b"" if is_first else _OPENING, piece, b"" if is_last else _CLOSING))
    try:
        refuse_many_json_values(data, most)
        message = _DECODER.decode(data)
    except TooManyValuesError:
        raise
    except UNREADABLE as error:
        raise GarbledError(_refusal(problem_shown(error), body)) from error
    if not is_last and (not message.resources or bytes(message.resources.pop()) != _MARK):
        raise GarbledError(_refusal("it has resources outside of its list", body))
    return message


def _refusal(problem: str, body: bytes) -> str:
    return f"its answer is no MADS response ({problem}); its body is {body_shown(body)}"
