"""Lists of the API server: read in pages, each of its own moment, and whether the pages fit together."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import lt
from typing import Generic, Protocol, TypeVar
from urllib.parse import parse_qs, urlsplit

import msgspec

from kuma_sd import SourceError
from kuma_sd_bundled.kuma_api.documents import Page, ResourceKey

T = TypeVar("T")

PAGE_SIZE = 1000
"""How many items a page holds; Kuma refuses more."""

OVERLAP = 50
"""By how many items pages overlap while a list changes: as many may be deleted between two pages without a gap."""

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
    """

    items: dict[ResourceKey, T] = field(default_factory=dict)
    consistent: bool = True
    unreadable: list[bytes] = field(default_factory=list)


ReadItem = Callable[[msgspec.Raw], tuple[ResourceKey, T]]
"""Makes something of an item, and says its key; raises msgspec.MsgspecError if it has none."""


class ListReader:
    """Reads lists, and remembers those that changed while they were read."""

    def __init__(self) -> None:
        self.restless: set[str] = set()
        """The lists that are read in overlapping pages."""

    def read(self, get: Get, path: str, read_item: "ReadItem[T]") -> Listing[T]:
        """Read all pages of a list; in overlapping pages if it changes meanwhile, or did so the last time.

        Args:
            get: asks the API server.
            path: of the list.
            read_item: makes something of each item.

        Raises:
            SourceError: a page cannot be had, or is none.
        """
        if path not in self.restless:
            listing, _ = _read_once(get, path, read_item)
            if listing.consistent:
                return listing
            self.restless.add(path)
        listing, gapless = _read_once(get, path, read_item, OVERLAP)
        if listing.consistent:
            self.restless.remove(path)
        listing.consistent |= gapless
        return listing


class _Coverage:
    """Whether pages that overlap leave no gap between them.

    A page is a piece of the list in order, as it was at one moment. If each page begins no later than the one before it
    ended, and the last one reaches the end of the list, what was there all the time stands in one of them.
    """

    def __init__(self) -> None:
        self.gapless = True
        self._reached: ResourceKey | None = None

    def note(self, keys: Sequence[ResourceKey]) -> None:
        """Note the keys of the next page."""
        in_order = bool(keys) and all(map(lt, keys, islice(keys, 1, None)))
        if not in_order or (self._reached is not None and keys[0] > self._reached):
            self.gapless = False
        else:
            self._reached = keys[-1]


def _read_once(get: Get, path: str, read_item: "ReadItem[T]", overlap: int = 0) -> tuple[Listing[T], bool]:
    """Return what a list holds, and whether its pages overlapped without a gap."""
    listing: Listing[T] = Listing()
    coverage, totals, count, end = _Coverage(), set[int](), 0, 0
    for offset, page in _pages(get, path, overlap):
        keys = []
        for raw in page.items or ():
            try:
                key, item = read_item(raw)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                listing.unreadable.append(bytes(raw))
            else:
                listing.items[key] = item
                keys.append(key)
        coverage.note(keys)
        totals.add(page.total)
        count += len(page.items or ())
        end = offset + len(page.items or ())
        if end > page.total + MARGIN:
            break
    unique = len(listing.items) + len(listing.unreadable)
    listing.consistent = totals == {unique} and (bool(overlap) or count == unique)
    return listing, bool(overlap) and coverage.gapless and end == page.total


def _pages(get: Get, path: str, overlap: int) -> Iterator[tuple[int, Page]]:
    """Yield each page, and the offset at which it begins."""
    offset, query = 0, f"size={PAGE_SIZE}"
    while True:
        page = _parse(get(f"{path}?{query}"), path)
        yield offset, page
        if not page.next:
            return
        following = _offset(page.next, path)
        if following <= offset or not page.items:
            raise SourceError(f"the pages of {path} lead back to offset {following}")
        # Never back to where this page began.
        offset = max(offset + 1, following - overlap)
        query = f"offset={offset}&size={PAGE_SIZE}"
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
