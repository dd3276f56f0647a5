"""Read a DiscoveryResponse in JSON."""

import re
from collections.abc import Iterator, Sequence

import msgspec

from kuma_sd.core.decoding_errors import UNREADABLE
from kuma_sd.core.response_descriptions import body_shown, problem_shown
from kuma_sd.mads.codecs.v1_json import V1_JSON
from kuma_sd.mads.envelope import LARGEST_FIELD, LONGEST_TEXT, Envelope, FieldLimits, foreign
from kuma_sd.mads.errors import ForeignError, GarbledError
from kuma_sd.mads.pieces import Resources, split

# Kuma writes the type first. Whoever writes it elsewhere may mean targets of the same resource.
_BETWEEN_RESOURCES, _BETWEEN_OBJECTS = (re.compile(rb"\}\s*(,)\s*\{" + key) for key in (rb'\s*"@type"', b""))

_NEAR = 2**14
"""How far to search for the type, in bytes."""

_EMPTY_REST = re.compile(rb"\s*\]")

# The next character that is not white space.
_SYMBOL = re.compile(rb"[ \t\n\r]*+([^ \t\n\r])")

_NOTHING = re.compile(rb"[ \t\n\r]*")

# After the value that is to be decoded, msgspec finds more, and says where, counted from 1.
_MORE_FOLLOWS = re.compile(r"JSON is malformed: trailing characters \(byte ([0-9]+)\)")

_WHERE = re.compile(r"(?<=\(byte )[0-9]+(?=\))")

_TRUNCATED = "Input data was truncated"

_VALUE = msgspec.json.Decoder(msgspec.Raw)
_TEXT = msgspec.json.Decoder(str)
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
    message = _Message(body, most)
    try:
        message.read()
    except ForeignError:
        raise
    except GarbledError as error:
        raise GarbledError(_refusal(str(error), body)) from error
    if problem := foreign(V1_JSON, message.envelope):
        raise ForeignError(_refusal(problem, body))
    return message.envelope, message.resources


class _Message:
    """The object that a response is. Only the fields that are used are decoded; of equal names the last one counts.

    Args:
        body: the body of the response.
        most: how many resources it may have.
    """

    def __init__(self, body: bytearray, most: int) -> None:
        self._body = body
        self._most = most
        self._limits = FieldLimits()
        self._texts = dict.fromkeys(("type_url", "typeUrl", "version_info", "versionInfo"), "")
        self.resources = Resources([], 0)

    @property
    def envelope(self) -> Envelope:
        """What it has besides resources."""
        # Proto JSON: each field has two possible spellings.
        type_url, type_in_camel_case, version, version_in_camel_case = self._texts.values()
        return Envelope(type_url or type_in_camel_case, version or version_in_camel_case)

    def read(self) -> None:
        """Go through all fields.

        Raises:
            GarbledError: it is malformed, or no DiscoveryResponse.
            ForeignError: it has too many fields, or one that is too large.
            TooManyValuesError: it has too many resources.
        """
        _, place = self._symbol(0, b"{")
        symbol, place = self._symbol(place, b'"}')
        while symbol == b'"':
            symbol, place = self._symbol(self._field(place - 1), b",}")
            if symbol == b",":
                symbol, place = self._symbol(place, b'"')
        if len(self._body) - place > LARGEST_FIELD or not _NOTHING.fullmatch(self._body, place):
            raise GarbledError(f"JSON is malformed: trailing characters (byte {place})")

    def _field(self, start: int) -> int:
        """Take in a field; return where it ends."""
        place = self._end(start)
        # White space behind it belongs to what was gone through.
        size = len(self._body[start:place].rstrip())
        name = self._text(start, start + size) if size <= LONGEST_TEXT else ""
        _, place = self._symbol(place, b":")
        if name == "resources":
            # Those of an earlier field of this name are not kept in memory beside them.
            self.resources = Resources([], 0)
        symbol, behind = self._symbol(place)
        if name == "resources" and symbol == b"[":
            self._limits.add(0)
            self.resources = split(_JsonList(self._body), behind - 1, self._most)
            # Those of a list that a later one replaces count too, since they are gone through.
            self._most -= len(self.resources)
            return self.resources.end + 1
        end = self._end(place)
        self._limits.add(end - start)
        if name in self._texts:
            self._texts[name] = self._text(place, end)
        if name == "resources" and self._body[place:end].strip() != b"null":
            raise GarbledError("its resources are no list")
        return end

    def _end(self, place: int) -> int:
        """Return where a name or value ends."""
        limit = place + LARGEST_FIELD
        try:
            return _end_of_value(self._body, place, limit)
        except GarbledError as error:
            if str(error) == _TRUNCATED and limit < len(self._body):
                self._limits.add(LARGEST_FIELD + 1)
            raise

    def _text(self, start: int, end: int) -> str:
        """Decode a text."""
        try:
            return _TEXT.decode(memoryview(self._body)[start:end])
        except UNREADABLE as error:
            raise GarbledError(problem_shown(error)) from error

    def _symbol(self, place: int, wanted: bytes = b"") -> tuple[bytes, int]:
        """Go through white space and a character behind it; return that, and where it ends."""
        limit = place + LARGEST_FIELD
        found = _SYMBOL.match(self._body, place, limit)
        if not found:
            raise GarbledError("it has too much white space" if limit < len(self._body) else _TRUNCATED)
        if wanted and found[1] not in wanted:
            either = " or ".join(map(repr, wanted.decode()))
            raise GarbledError(f"JSON is malformed: expected {either} (byte {found.start(1)})")
        return found[1], found.end()


def _end_of_value(data: bytearray, place: int, limit: int) -> int:
    """Return where a value ends: where something else begins behind it.

    Args:
        data: JSON in which the value does not stand last.
        place: where it begins.
        limit: how far to look for its end.

    Raises:
        GarbledError: it is malformed, or does not end there.
    """
    try:
        _VALUE.decode(memoryview(data)[place:limit])
    except UNREADABLE as error:
        if more := _MORE_FOLLOWS.fullmatch(str(error)):
            return place + int(more[1]) - 1
        raise _malformed(error, place) from error
    raise GarbledError(_TRUNCATED)


def _malformed(error: Exception, start: int) -> GarbledError:
    """Return the error for JSON that cannot be parsed, with its place in the whole.

    Args:
        error: the error for a part.
        start: where that part begins.
    """
    return GarbledError(_WHERE.sub(lambda where: str(int(where[0]) + start), problem_shown(error)))


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
        return _end_of_value(self._data, place + 1, len(self._data))

    def read(self, start: int, end: int) -> "_Copies":
        data, around = self._data, (self._data[start], self._data[end])
        if around[1] not in b",]":
            raise GarbledError(f"JSON is malformed: expected ',' or ']' (byte {end})")
        data[start], data[end] = b"[]"
        try:
            return _Copies(_LIST.decode(memoryview(data)[start : end + 1]))
        except UNREADABLE as error:
            raise _malformed(error, start) from error
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
