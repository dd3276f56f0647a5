"""Parse the head of an HTTP/1.1 request (RFC 9112) strictly: ambiguous requests are rejected."""

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

LARGEST_HEAD = 2**14
"""Maximum size of a request head, in bytes."""

MOST_FIELDS = 100
"""Maximum number of header fields."""

_REQUEST_LINE = re.compile(rb"([A-Z]{1,16}) ([!-~]+) HTTP/([0-9])\.([0-9])")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*")
_LENGTH = re.compile(r"[0-9]{1,18}")

# Programs disagree on which of two different values counts.
_ONCE = {"content-length", "host", "transfer-encoding", "authorization", "origin", "sec-fetch-site", "content-type"}


class BadRequestError(Exception):
    """The request is rejected before it reaches the application.

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
        query: the part after the question mark.
        version: ``HTTP/1.0`` or ``HTTP/1.1``.
        fields: values by name in lower case; repeated fields are joined by commas.
        content_length: the size of the body, in bytes.
    """

    method: str
    path: str
    query: str
    version: str
    fields: Mapping[str, str]
    content_length: int

    @property
    def decoded_path(self) -> str:
        """The percent-decoded path in WSGI's form: one character per byte."""
        return unquote_to_bytes(self.path).decode("latin-1")

    @property
    def keeps_alive(self) -> bool:
        """Whether another request may follow on the connection."""
        options = {option.strip().lower() for option in self.fields.get("connection", "").split(",")}
        return self.version == "HTTP/1.1" and "close" not in options


def parse_head(data: bytes) -> RequestHead:
    """Parse a head, without the empty line at its end.

    Raises:
        BadRequestError: it is invalid or ambiguous.
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
    length = _content_length(fields)
    if length and "expect" in fields:
        # A client that is asked to wait would be closed as one that says nothing (RFC 9110, 10.1.1).
        raise BadRequestError(417, "send the body with the head, without the header Expect")
    method = line[1].decode()
    path, query = _target(method, line[2].decode())
    return RequestHead(method, path, query, version, fields, length)


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
        # WSGI cannot distinguish "_" from "-" in names.
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
        # Unread parts of it would be parsed as the next request.
        raise BadRequestError(411, "a body needs a Content-Length")
    text = fields.get("content-length", "0")
    if not _LENGTH.fullmatch(text):
        raise BadRequestError(400, "Content-Length is no number")
    return int(text)
