"""Servers that send back what they were sent, credentials among it, wherever a response has room for it."""

import base64
import contextlib
import json
import re
import socket
from collections.abc import Callable, Iterator
from functools import partial
from urllib.parse import quote

import grpc
from byte_server import byte_server, read_request
from mads_streams import mads_streams

from kuma_sd.mads.codecs.v1 import TYPE_URL
from kuma_sd.proto.discovery_pb2 import DiscoveryRequest, DiscoveryResponse

_INTERESTING = re.compile(rb"^(?:proxy-)?authorization: *(.*)$|^x-secret: *(.*)$", re.IGNORECASE | re.MULTILINE)

Answer = Callable[[str], bytes]
"""Makes a response that holds a text."""


def with_body(body: str, head: str = "HTTP/1.1 200 OK") -> bytes:
    """Return a response with its length."""
    data = body.encode()
    return f"{head}\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data


def _json(**fields: object) -> bytes:
    return with_body(json.dumps(fields), "HTTP/1.1 200 OK\r\nContent-Type: application/json")


def _refusal(status: int, text: str) -> bytes:
    return with_body(text, f"HTTP/1.1 {status} {text}\r\nRetry-After: {text}")


ANSWERS: dict[str, Answer] = {
    "location-path": lambda text: with_body("", f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/{quote(text)}"),
    "location-user": lambda text: with_body("", f"HTTP/1.1 302 Found\r\nLocation: http://u:{quote(text)}@a/?t={text}"),
    "location-host": lambda text: with_body("", f"HTTP/1.1 302 Found\r\nLocation: http://{quote(text)}.evil/"),
    "location-word": lambda text: with_body("", f"HTTP/1.1 307 Found\r\nLocation: {text}"),
    "type": lambda text: with_body(text, f"HTTP/1.1 200 OK\r\nContent-Type: {text}"),
    "page": lambda text: with_body(f"<html>{text}</html>"),
    "no-utf-8": lambda text: b"HTTP/1.0 200 OK\r\n\r\n" + b'{"version_info": "\xff ' + text.encode(),
    "foreign": lambda text: _json(version_info=text, type_url=text, resources=[{"@type": text}]),
    "unknown-fields": lambda text: _json(**{text: text, "items": {text: 5}, "resources": text}),
    "resources": lambda text: _json(version_info=text, type_url=TYPE_URL, resources=[{"@type": text}, {text: text}]),
    "kuma-error": lambda text: with_body(
        json.dumps({"title": text, "details": text, "causes": [{"field": text, "message": text}]}),
        "HTTP/1.1 400 Bad Request",
    ),
    **{f"status-{status}": partial(_refusal, status) for status in (401, 403, 407, 429, 500, 503)},
    "status-line": lambda text: f"HTTP/1.1 {text}\r\n\r\n".encode(),
    "version": lambda text: f"HTTP/{text} 200 OK\r\n\r\n".encode(),
    "no-http": lambda text: f"{text}\r\n".encode(),
    "encodings": lambda text: (
        f"HTTP/1.1 200 OK\r\nContent-Encoding: {text}\r\nTransfer-Encoding: {text}\r\n\r\n{text}".encode()
    ),
    "lengths": lambda text: f"HTTP/1.1 200 OK\r\nContent-Length: 5, {text}\r\n\r\n{text}".encode(),
    "two-lengths": lambda text: f"HTTP/1.1 200 OK\r\nContent-Length: 5,7\r\nX: {text}\r\n\r\n{text}".encode(),
    "headers": lambda text: f"HTTP/1.1 200 OK\r\n{text}\r\n{text} : {text}\r\n{text}\r\n\r\n{text}".encode(),
    "interim": lambda text: f"HTTP/1.1 199 {text}\r\nX: {text}\r\n\r\n".encode() * 20,
    "chunk": lambda text: f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{text}\r\n{text}".encode(),
    "cut": lambda text: f"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{text}".encode(),
    "compressed": lambda text: with_body(text, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip"),
    "next": lambda text: _json(items=[{"a": 1}], total=5, next=f"http://{quote(text)}/?offset={quote(text)}"),
    "index": lambda text: _json(version=text, tagline=text, mode=text, basedOnKuma=text, total=1, items=[]),
}
"""Responses by their names, which are the first part of the path that they answer."""

ENDED = ("cut", "chunk", "no-http", "no-utf-8", "encodings", "lengths", "headers")
"""The responses that end with the connection."""


def _reflected(request: bytes) -> str:
    values = [(first or second).strip().decode() for first, second in _INTERESTING.findall(request)]
    plain = [base64.b64decode(value[6:]).decode() for value in values if value.startswith("Basic ")]
    bare = [value.partition(" ")[2] for value in values if " " in value]
    # The cut forms first, since messages quote beginnings.
    return " ".join([text for value in (*plain, *bare, *values) for text in (value[-9:], value, quote(value))])


def _talk(peer: socket.socket) -> None:
    while request := read_request(peer):
        line = request.split(b"\r\n")[0].decode()
        target = re.sub("^https?://[^/]*/", "/", line.split(" ")[1]).lstrip("/")
        name = re.split("[/.]", target)[0]
        text = _reflected(request)
        if name == "catalog-host":
            url = f"http://{re.sub('[^0-9a-zA-Z]', '', text)[:60]}.invalid:5676/{quote(text)}"
            found = _json(apis={"monitoringAssignment": {"url": url}})
            peer.sendall(found if target.endswith("/catalog") else with_body("", "HTTP/1.1 404 Not Found"))
        else:
            peer.sendall(ANSWERS.get(name, ANSWERS["kuma-error"])(text))
            if name in ENDED:
                return


@contextlib.contextmanager
def reflecting_http() -> Iterator[str]:
    """Answer HTTP, also as a proxy; yields host and port. The first word of the path names the answer."""
    with byte_server(_talk) as server:
        yield server.address


STATUSES = {status.name.lower().replace("_", "-"): status for status in grpc.StatusCode if status.value[0]}
"""The gRPC statuses that end a stream as failed, by the name of the client that gets them."""

MESSAGES: dict[str, Callable[[str], bytes]] = {
    "foreign-type": lambda text: DiscoveryResponse(version_info=text, type_url=text, nonce=text).SerializeToString(),
    "no-version": lambda text: DiscoveryResponse(type_url=TYPE_URL, nonce=text).SerializeToString(),
    "no-protobuf": lambda text: b"\xff" + text.encode(),
}
"""Messages by the name of the client that gets them."""


def _stream(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
    name = DiscoveryRequest.FromString(next(requests)).node.id
    head = "\n".join(f"{key}: {value!s}" for key, value in context.invocation_metadata())
    text = _reflected(head.encode())
    if name in MESSAGES:
        yield MESSAGES[name](text)
        return
    context.set_trailing_metadata((("x-reflected", quote(text)),))
    context.abort(STATUSES[name], f"Connection refused {text} last error: UNKNOWN: {text}")


@contextlib.contextmanager
def reflecting_grpc() -> Iterator[str]:
    """Answer streams of MADS; yields host and port. The name of the client names the answer."""
    with mads_streams(_stream) as address:
        yield address
