"""Lists of the API server: read in pages, each of its own moment, and whether the pages fit together."""

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import islice
from operator import lt
from typing import Generic, NamedTuple, Protocol, TypeVar
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
        consistent: whether what is not in the list is not there.
        unreadable: the items of which not even the name can be understood.
        fits: whether the numbers are right: no item twice, and as many as every page says that there are.
        pages: how many pages it had.
    """

    items: dict[ResourceKey, T] = field(default_factory=dict)
    consistent: bool = True
    unreadable: list[bytes] = field(default_factory=list)
    fits: bool = True
    pages: int = 0


ReadItem = Callable[[msgspec.Raw], tuple[ResourceKey, T]]
"""Makes something of an item, and says its key; raises msgspec.MsgspecError if it has none."""


class ListReader:
    """Reads lists, and remembers those that changed while they were read."""

    def __init__(self) -> None:
        self.restless: set[str] = set()
        """The lists that are read in overlapping pages."""

    def read(
        self, get: Get, path: str, read_item: "ReadItem[T]", expected: AbstractSet[ResourceKey] = frozenset()
    ) -> Listing[T]:
        """Read all pages of a list; in overlapping pages if it changes meanwhile, or did so the last time.

        An addition behind a page and a deletion before it leave the numbers as they are, so numbers that fit prove only
        for a single page that something is not there.

        Args:
            get: asks the API server.
            path: of the list.
            read_item: makes something of each item.
            expected: what was in the list before.

        Raises:
            SourceError: a page cannot be had, or is none.
        """
        if path not in self.restless:
            listing, _ = _read_once(get, path, read_item)
            if listing.fits and (listing.pages == 1 or expected <= listing.items.keys()):
                return listing
            self.restless.add(path)
        listing, gapless = _read_once(get, path, read_item, OVERLAP)
        listing.consistent = gapless or (listing.fits and listing.pages == 1)
        if listing.fits and expected <= listing.items.keys():
            self.restless.remove(path)
        return listing


class _Coverage:
    """Whether pages that overlap leave no gap between them.

    A page is a piece of the list in order, as it was at one moment. If each page begins no later than the one before it
    ended, and the last one reaches the end of the list, what was there all the time stands in one of them.
    """

    def __init__(self) -> None:
        self.gapless = True
        self._reached: ResourceKey | None = None

    def note(self, keys: Sequence[ResourceKey], *, whole: bool) -> None:
        """Note the next page.

        Args:
            keys: of its items.
            whole: whether it has all items up to the next page, or up to the end.
        """
        in_order = bool(keys) and all(map(lt, keys, islice(keys, 1, None)))
        if not (in_order and whole) or (self._reached is not None and keys[0] > self._reached):
            self.gapless = False
        else:
            self._reached = keys[-1]


def _read_once(get: Get, path: str, read_item: "ReadItem[T]", overlap: int = 0) -> tuple[Listing[T], bool]:
    """Return what a list holds, and whether its pages overlapped without a gap."""
    listing: Listing[T] = Listing()
    coverage, totals, count = _Coverage(), set[int](), 0
    for place, page in _pages(get, path, overlap):
        keys = []
        for raw in page.items or ():
            try:
                key, item = read_item(raw)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                listing.unreadable.append(bytes(raw))
            else:
                listing.items[key] = item
                keys.append(key)
        size = len(page.items or ())
        listing.pages += 1
        coverage.note(keys, whole=place.offset + size == (page.total if place.following is None else place.following))
        totals.add(page.total)
        count += size
        if place.offset + size > page.total + MARGIN:
            coverage.gapless = False
            break
    unique = len(listing.items) + len(listing.unreadable)
    listing.fits = listing.consistent = totals == {unique} and (bool(overlap) or count == unique)
    return listing, bool(overlap) and coverage.gapless


class _PlaceOfPage(NamedTuple):
    """The offsets of a page, and of the one behind it; None behind the last one."""

    offset: int
    following: int | None


def _pages(get: Get, path: str, overlap: int) -> Iterator[tuple[_PlaceOfPage, Page]]:
    """Yield each page, and where it stands."""
    offset, query = 0, f"size={PAGE_SIZE}"
    while True:
        page = _parse(get(f"{path}?{query}"), path)
        following = _offset(page.next, path) if page.next else None
        yield _PlaceOfPage(offset, following), page
        if following is None:
            return
        if following <= offset or not page.items:
            raise SourceError(f"the pages of {path} lead back to offset {following}")
        # Pages may be smaller than was asked for; never back to where this one began.
        offset = max(offset + 1, following - min(overlap, len(page.items) // 2))
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
