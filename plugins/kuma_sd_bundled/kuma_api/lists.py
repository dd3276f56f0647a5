"""Read lists of the API server in pages, and check whether the pages are consistent."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import islice
from operator import lt
from typing import Generic, NamedTuple, Protocol, TypeVar
from urllib.parse import parse_qs, urlsplit

import msgspec

from kuma_sd import UNREADABLE, SourceError, body_shown, problem_shown
from kuma_sd_bundled.kuma_api.documents import PAGE_SIZE, ItemIdentity, Page, ResourceKey

T = TypeVar("T")

OVERLAPS = (50, 500)
"""Number of items by which pages overlap when a list is read, and read again: so many may vanish between two pages."""

MARGIN = 10 * PAGE_SIZE
"""Number of items beyond its total from which a list counts as endless."""

MOST_ITEMS = 2**21
"""Maximum number of items in a list, about as many as max-message-size allows targets of MADS by default."""

_IDENTITY = msgspec.json.Decoder(ItemIdentity)


class Get(Protocol):
    """Requests JSON from the API server."""

    def __call__(self, path: str) -> bytes | bytearray:
        """Request a path and return the body of the response.

        Raises:
            SourceError: the request failed; NotFoundError if the server has no such document.
        """


class Unreadable(NamedTuple):
    """An item of a list that cannot be read.

    Args:
        raw: its bytes.
        title: its mesh and name as far as they can be read; empty if it has no name.
        reason: what is wrong with it.
    """

    raw: bytes
    title: str
    reason: str

    def __str__(self) -> str:
        return f"{self.title or 'an item without a name'} cannot be read ({self.reason})"


@dataclass
class Listing(Generic[T]):
    """The content of a list.

    Args:
        items: the result for each item, by key.
        consistent: whether the list is complete, so that what is missing in it does not exist.
        unreadable: the items that cannot be read.
    """

    items: dict[ResourceKey, T] = field(default_factory=dict)
    consistent: bool = True
    unreadable: list[Unreadable] = field(default_factory=list)


ReadItem = Callable[[msgspec.Raw], tuple[ResourceKey, T]]
"""Converts an item and returns its key and the result; raises msgspec.MsgspecError if it cannot be read."""


def read_list(
    get: Get, path: str, read_item: "ReadItem[T]", expected: AbstractSet[ResourceKey] = frozenset()
) -> Listing[T]:
    """Read all pages of a list, and again if they are inconsistent.

    An addition after a page and a deletion before it leave the numbers unchanged. So matching numbers prove the absence
    of an item only if the list has a single page; several pages must overlap. If nothing is missing, nothing needs
    a proof.

    Args:
        get: sends a request to the API server.
        path: the path of the list.
        read_item: converts an item.
        expected: the keys that were in the list before.

    Raises:
        SourceError: a page cannot be read.
    """
    for overlap in OVERLAPS:
        listing = _read_once(_pages(get, path, overlap), path, read_item, expected)
        if listing.consistent:
            break
    return listing


class _Coverage:
    """Checks whether overlapping pages leave no gap.

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


def _read_once(
    pages: "Iterable[tuple[_PlaceOfPage, Page]]",
    path: str,
    read_item: "ReadItem[T]",
    expected: AbstractSet[ResourceKey],
) -> Listing[T]:
    listing: Listing[T] = Listing()
    coverage, totals, number, count = _Coverage(), set[int](), 0, 0
    for place, page in pages:
        keys = []
        for raw in page.items:
            try:
                key, item = read_item(raw)
            except UNREADABLE as error:
                listing.unreadable.append(_unreadable(raw, error))
            else:
                listing.items[key] = item
                keys.append(key)
        size = len(page.items)
        number, count = number + 1, count + size
        if count > MOST_ITEMS:
            raise SourceError(f"the list {path} has more than {MOST_ITEMS:,} items")
        coverage.note(keys, whole=place.offset + size == (page.total if place.following is None else place.following))
        totals.add(page.total)
        if place.offset + size > page.total + MARGIN:
            coverage.gapless = False
            break
    fits = totals == {len(listing.items) + len(listing.unreadable)}
    if number == 1:
        listing.consistent = fits and count == page.total
    else:
        listing.consistent = coverage.gapless or (fits and bool(expected) and expected <= listing.items.keys())
    return listing


def _unreadable(raw: msgspec.Raw, error: Exception) -> Unreadable:
    try:
        key = _IDENTITY.decode(raw).key
    except UNREADABLE:
        return Unreadable(bytes(raw), "", problem_shown(error))
    return Unreadable(bytes(raw), "/".join(filter(None, key)), problem_shown(error))


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
            raise SourceError(f"the pages of {path} lead back to an earlier offset")
        # Pages may be smaller than was asked for; never back to where this one began.
        offset = max(offset + 1, following - min(overlap, len(page.items) // 2))
        query = f"offset={offset}&size={PAGE_SIZE}"
        # Nothing of a large page may stay while the next one is awaited.
        del page


def _parse(body: bytes | bytearray, path: str) -> Page:
    try:
        return Page.parse(body)
    except UNREADABLE as error:
        raise SourceError(
            f"the answer to {path} is no list of Kuma's API ({problem_shown(error)}); it is {body_shown(body)}"
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
