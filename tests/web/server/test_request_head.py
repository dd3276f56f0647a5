"""A head is read strictly, whatever bytes come."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from kuma_sd.web.server.request_head import BadRequestError, RequestHead, parse_head

LINES = st.sampled_from(
    [
        *(b"GET / HTTP/1.1", b"POST /a?b HTTP/1.0", b"Host: x", b"Content-Length: 5", b"Content-Length: 1_0"),
        *(b"Transfer-Encoding: chunked", b"Connection: close", b" folded", b"A : b", b"Host:\x00", b"", b"A_B: c"),
    ]
)


@given(st.lists(LINES | st.binary(max_size=20), max_size=8).map(b"\r\n".join))
def test_any_bytes_are_a_head_or_are_refused(data: bytes) -> None:
    with contextlib.suppress(BadRequestError):
        head = parse_head(data)
        assert head.version == "HTTP/1.0" or "host" in head.fields
        assert head.path.startswith("/")
        assert head.content_length >= 0
        assert data.lower().count(b"content-length:") <= 1
        assert not any("_" in name or name != name.lower() for name in head.fields)
        assert not any(character in value for value in head.fields.values() for character in "\r\n\0")


def test_a_head_is_taken_apart() -> None:
    data = b"GET /a%20b?c=d HTTP/1.1\r\nHost: x\r\nAccept: a\r\nAccept:b\r\nX_Y: z\r\nConnection: Close"
    fields = {"host": "x", "accept": "a, b", "connection": "Close"}
    assert parse_head(data) == RequestHead("GET", "/a%20b", "c=d", "HTTP/1.1", fields, 0)
    assert parse_head(data).decoded_path == "/a b"
    assert not parse_head(data).keeps_alive
