"""Divide lists into pages like Kuma's API server: each page shows the list at the time of its request."""

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import parse_qs, urlencode

from kuma_sd.simulator.api.dataplane_documents import Document

DEFAULT_SIZE = 100
MOST_SIZE = 1000


class PageRequest(NamedTuple):
    """The requested part of a list."""

    size: int
    offset: int

    @classmethod
    def of(cls, query: str) -> "PageRequest":
        """Parse a query.

        Raises:
            ValueError: Kuma refuses it; the message is a sentence.
        """
        parameters = parse_qs(query, keep_blank_values=True)
        size = _number(parameters.get("size", [str(DEFAULT_SIZE)])[0], "size")
        offset = _number(parameters.get("offset", ["0"])[0], "offset")
        if not 0 < size <= MOST_SIZE:
            raise ValueError(f"invalid page size; maximum page size is {MOST_SIZE}")
        return cls(size, offset)

    def cut(self, items: Sequence[bytes], url: str, *, always_next: bool) -> bytes:
        """Return the page.

        Args:
            items: the whole list, encoded.
            url: the URL of the list, as the client sent it.
            always_next: whether the last page has a field for the next one, which is null.
        """
        end = self.offset + self.size
        following = b"null" if always_next else b""
        if end < len(items):
            query = urlencode({"offset": end, "size": self.size})
            following = f'"{url}?{query}"'.encode()
        tail = b'],"next":' + following + b"}" if following else b"]}"
        return b"".join((b'{"total":%d,"items":[' % len(items), b",".join(items[self.offset : end]), tail))


def error_document(status: int, title: str, detail: str) -> Document:
    """Return an error as Kuma writes it."""
    return {"type": "/std-errors", "status": status, "title": title, "detail": detail, "details": detail}


def _number(text: str, name: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"invalid {name}")
    return int(text)
