"""Lists of the API server: read in pages, each of its own moment, and whether the pages fit together."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar
from urllib.parse import parse_qs, urlsplit

import msgspec

from kuma_sd import SourceError
from kuma_sd_bundled.kuma_api.documents import Page, ResourceKey

T = TypeVar("T")

PAGE_SIZE = 1000
"""How many items a page holds; Kuma refuses more."""

READ_AGAIN_UP_TO = 10
"""How many pages a list may have to be read again at once when they do not fit; longer ones wait for the next poll."""

MARGIN = 10 * PAGE_SIZE
"""How many more items than its total a list may have before it counts as endless."""

_PAGE = msgspec.json.Decoder(Page)


class Get(Protocol):
    """Asks the API server for JSON."""

    def __call__(self, path: str) -> bytes:
        """Return the body of a good answer.

        Raises:
            SourceError: there is none; NotFoundError where nothing is there.
        """


@dataclass
class Listing(Generic[T]):
    """What a list holds.

    Args:
        items: what was made of each item, by its key.
        consistent: whether the pages fit together, so that what is not in the list is not there.
        unreadable: the items of which not even the name can be understood.
        pages: how many pages it had.
    """

    items: dict[ResourceKey, T] = field(default_factory=dict)
    consistent: bool = True
    unreadable: list[bytes] = field(default_factory=list)
    pages: int = 0


ReadItem = Callable[[msgspec.Raw], tuple[ResourceKey, T]]
"""Makes something of an item, and says its key; raises msgspec.MsgspecError if it has none."""


def read_list(get: Get, path: str, read_item: "ReadItem[T]") -> Listing[T]:
    """Read all pages of a list; once more if they do not fit together and are few.

    Args:
        get: asks the API server.
        path: of the list.
        read_item: makes something of each item.

    Raises:
        SourceError: a page cannot be had, or is none.
    """
    listing = _read_once(get, path, read_item)
    if listing.consistent or listing.pages > READ_AGAIN_UP_TO:
        return listing
    return _read_once(get, path, read_item)


def _read_once(get: Get, path: str, read_item: "ReadItem[T]") -> Listing[T]:
    listing: Listing[T] = Listing()
    totals, count = set[int](), 0
    for page in _pages(get, path):
        listing.pages += 1
        totals.add(page.total)
        for raw in page.items or ():
            count += 1
            try:
                key, item = read_item(raw)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                listing.unreadable.append(bytes(raw))
            else:
                listing.items[key] = item
        if count > page.total + MARGIN:
            break
    listing.consistent = totals == {count} and len(listing.items) + len(listing.unreadable) == count
    return listing


def _pages(get: Get, path: str) -> Iterator[Page]:
    offset, query = 0, f"size={PAGE_SIZE}"
    while True:
        page = _parse(get(f"{path}?{query}"), path)
        yield page
        if not page.next:
            return
        following = _offset(page.next, path)
        if following <= offset or not page.items:
            raise SourceError(f"the pages of {path} lead back to offset {following}")
        offset, query = following, f"offset={following}&size={PAGE_SIZE}"
        # Nothing of a large page may stay while the next one is awaited.
        del page


def _parse(body: bytes, path: str) -> Page:
    try:
        return _PAGE.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        start = body[:60].decode(errors="replace")
        raise SourceError(
            f"the answer to {path} is no list of Kuma's API ({error}); it begins with {start!r}"
        ) from error


def _offset(following: str, path: str) -> int:
    # The rest of this URL is made of what a client says its host is, and may lead anywhere with our token.
    try:
        offset = parse_qs(urlsplit(following).query).get("offset", [""])[0]
    except ValueError:
        offset = ""
    if not offset.isascii() or not offset.isdigit():
        raise SourceError(f"the next page of {path} has no offset")
    return int(offset)
