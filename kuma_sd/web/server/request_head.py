"""Reads the head of an HTTP/1.1 request (RFC 9112), strictly: what two programs could read in two ways is refused."""

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

LARGEST_HEAD = 2**14
"""How long the head of a request may be, in bytes."""

MOST_FIELDS = 100
"""How many header fields a request may have."""

_REQUEST_LINE = re.compile(rb"([A-Z]{1,16}) ([!-~]+) HTTP/([0-9])\.([0-9])")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*")
_LENGTH = re.compile(r"[0-9]{1,18}")

# Where a second one says something else than the first, one of two programs would believe the wrong one.
_ONCE = {"content-length", "host", "transfer-encoding", "authorization", "origin", "sec-fetch-site", "content-type"}


class BadRequestError(Exception):
    """A request that is refused before anything looks at what it asks for.

    Args:
        status: the HTTP status.
        reason: one line.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class RequestHead(NamedTuple):
    """The head of a request.

    Args:
        method: like ``GET``.
        path: as it was sent, with percent signs.
        query: what stands behind the question mark.
        version: ``HTTP/1.0`` or ``HTTP/1.1``.
        fields: values by names in lower case; several of a name are joined by commas.
        content_length: how long the body is, in bytes.
    """

    method: str
    path: str
    query: str
    version: str
    fields: Mapping[str, str]
    content_length: int

    @property
    def decoded_path(self) -> str:
        """The path without percent signs, as WSGI has it: a character a byte."""
        return unquote_to_bytes(self.path).decode("latin-1")

    @property
    def keeps_alive(self) -> bool:
        """Whether another request may follow on the connection."""
        options = {option.strip().lower() for option in self.fields.get("connection", "").split(",")}
        return self.version == "HTTP/1.1" and "close" not in options


def parse_head(data: bytes) -> RequestHead:
    """Read a head, without the empty line at its end.

    Raises:
        BadRequestError: it is none, or could be understood in two ways.
    """
    first, *rest = data.split(b"\r\n")
    line = _REQUEST_LINE.fullmatch(first)
    if not line:
        raise BadRequestError(400, "this is no request line of HTTP/1.1")
    if line[3] != b"1":
        raise BadRequestError(505, "only HTTP/1.1 is spoken here")
    version = "HTTP/1.1" if line[4] != b"0" else "HTTP/1.0"
    fields = _fields(rest)
    if "host" not in fields and version == "HTTP/1.1":
        raise BadRequestError(400, "the header Host is missing")
    method = line[1].decode()
    path, query = _target(method, line[2].decode())
    return RequestHead(method, path, query, version, fields, _content_length(fields))


def _fields(lines: list[bytes]) -> Mapping[str, str]:
    if len(lines) > MOST_FIELDS:
        raise BadRequestError(431, f"there are more than {MOST_FIELDS} headers")
    fields: dict[str, str] = {}
    for line in lines:
        found = _FIELD.fullmatch(line)
        if not found:
            raise BadRequestError(400, "a line of the head is no header")
        name, value = found[1].decode().lower(), found[2].decode("latin-1")
        if name in fields and name in _ONCE:
            raise BadRequestError(400, f"the header {name} is there twice")
        # In WSGI a name with "_" would pass for the one with "-".
        if "_" not in name:
            fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields


def _target(method: str, target: str) -> tuple[str, str]:
    if method == "CONNECT":
        raise BadRequestError(405, "this is no proxy")
    if not target.startswith("/") or "#" in target:
        raise BadRequestError(400, "what is asked for is no path")
    path, _, query = target.partition("?")
    return path, query


def _content_length(fields: Mapping[str, str]) -> int:
    if "transfer-encoding" in fields:
        # Whatever of it were not read would be taken for the next request.
        raise BadRequestError(411, "a body needs a Content-Length")
    text = fields.get("content-length", "0")
    if not _LENGTH.fullmatch(text):
        raise BadRequestError(400, "Content-Length is no number")
    return int(text)
