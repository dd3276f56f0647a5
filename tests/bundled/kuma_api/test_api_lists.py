"""Lists in pages: what fits together, what does not, and where a next page may lead."""

import json
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from kuma_sd import SourceError
from kuma_sd_bundled.kuma_api import lists
from kuma_sd_bundled.kuma_api.documents import PAGE_SIZE, ItemIdentity, ResourceKey
from kuma_sd_bundled.kuma_api.lists import OVERLAPS, Get, Listing, read_list

NEXT = "http://elsewhere.example/dataplanes?offset={}&size=1000"


def read_item(raw: msgspec.Raw) -> tuple[ResourceKey, str]:
    identity = msgspec.json.decode(raw, type=ItemIdentity)
    return identity.key, identity.name


class Pages:
    """Answers page after page, and begins again when there is none left."""

    def __init__(self, *pages: Any) -> None:
        self.pages = pages
        self.asked: list[str] = []

    def __call__(self, path: str) -> bytes:
        page = self.pages[len(self.asked) % len(self.pages)]
        self.asked.append(path)
        return page if isinstance(page, bytes) else json.dumps(page).encode()


def page(names: Sequence[str], total: int, following: int | None = None) -> dict[str, Any]:
    items = [{"mesh": "default", "name": name} for name in names]
    return {"items": items, "total": total, "next": NEXT.format(following) if following else None}


def read(pages: Get, expected: AbstractSet[ResourceKey] = frozenset()) -> Listing[str]:
    return read_list(pages, "/dataplanes", read_item, expected)


def test_pages_are_asked_for_by_their_offset_and_never_elsewhere() -> None:
    pages = Pages(page(["a"], 2, 1000), page(["b"], 2))
    listing = read(pages)
    assert list(listing.items.values()) == ["a", "b"]
    assert pages.asked[:2] == [f"/dataplanes?size={PAGE_SIZE}", f"/dataplanes?offset=1000&size={PAGE_SIZE}"]


@pytest.mark.parametrize(
    "pages",
    [Pages(page(["a"], 2)), Pages(page(["a"], 3, 1), page(["b"], 2)), Pages(page(["a", "b"], 3, 2), page(["b"], 3))],
    ids=["too few", "another total", "one twice"],
)
def test_a_list_whose_pages_do_not_fit_is_read_again_and_then_proves_nothing(pages: Pages) -> None:
    listing = read(pages)
    assert not listing.consistent
    assert len(pages.asked) == 2 * len(pages.pages)


def test_a_list_that_fits_when_it_is_read_again_is_consistent() -> None:
    assert read(Pages(page(["a"], 2), page(["a", "b"], 2))).consistent


def test_an_item_without_a_name_is_unreadable_and_the_others_are_read() -> None:
    listing = read(Pages({"items": [{"mesh": "default"}, {"mesh": "default", "name": "a"}], "total": 2}))
    assert list(listing.items) == [("default", "a")]
    assert [item.raw for item in listing.unreadable] == [b'{"mesh": "default"}']
    assert listing.consistent


def test_an_empty_list_may_be_null() -> None:
    listing = read(Pages({"items": None, "total": 0}))
    assert (listing.items, listing.consistent) == ({}, True)


@pytest.mark.parametrize(
    "following",
    [
        NEXT.format("0"),
        NEXT.format("-5"),
        NEXT.format("x"),
        "http://[broken",
        "/dataplanes?size=1000",
        NEXT.format("٣"),
    ],
)
def test_a_next_page_that_leads_nowhere_is_refused(following: str) -> None:
    with pytest.raises(SourceError, match="offset"):
        read(Pages({"items": [{"mesh": "default", "name": "a"}], "total": 5, "next": following}))


def test_a_list_without_end_is_given_up() -> None:
    class Endless:
        count = 0

        def __call__(self, path: str) -> bytes:
            del path
            self.count += 1000
            names = [f"{self.count}-{place}" for place in range(1000)]
            return json.dumps(page(names, 5, self.count)).encode()

    assert not read(Endless()).consistent


def test_a_list_of_more_items_than_any_control_plane_has_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "MOST_ITEMS", 3)
    with pytest.raises(SourceError, match="the list /dataplanes has more than 3 items"):
        read(Pages(page("ab", 10**9, 2), page("cd", 10**9, 4)))


def test_a_page_of_more_items_than_were_asked_for_is_refused_at_the_first_of_them() -> None:
    assert len(read(Pages(page([f"{number:04}" for number in range(PAGE_SIZE)], PAGE_SIZE))).items) == PAGE_SIZE
    # What follows the first one too many is no JSON, which nobody gets to see.
    body = b'{"total":1,"items":[%b?' % (b"{}," * (PAGE_SIZE + 1))
    with pytest.raises(SourceError, match="Expected `array` of at most length 1000"):
        read(Pages(body))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Log in</html>",
        b'{"message": "ok"}',
        b"[]",
        b'{"items": 5, "total": 1}',
        b'{"items": [{"na',
        b"\xff",
    ],
)
def test_what_is_no_list_is_refused(body: bytes) -> None:
    with pytest.raises(SourceError, match="is no list of Kuma's API"):
        read(Pages(body))


class Store:
    """A list that changes after some pages."""

    def __init__(self, count: int, changes: Mapping[int, Callable[[list[str]], None]]) -> None:
        self.names = [f"{number:05}" for number in range(count)]
        self.changes = changes
        self.offsets: list[int] = []

    def __call__(self, path: str) -> bytes:
        offset = int(parse_qs(urlsplit(path).query).get("offset", ["0"])[0])
        self.offsets.append(offset)
        following = offset + PAGE_SIZE if offset + PAGE_SIZE < len(self.names) else None
        answer = page(self.names[offset : offset + PAGE_SIZE], len(self.names), following)
        self.changes.get(len(self.offsets), delete_first(0))(self.names)
        return json.dumps(answer).encode()


def delete_first(count: int) -> Callable[[list[str]], None]:
    def delete(names: list[str]) -> None:
        del names[:count]

    return delete


def delete_and_append(count: int) -> Callable[[list[str]], None]:
    """Return a change that leaves the number of items as it is."""

    def change(names: list[str]) -> None:
        del names[:count]
        names.extend(f"{int(names[-1]) + number + 1:05}" for number in range(count))

    return change


def test_a_list_of_several_pages_is_read_in_overlapping_pages() -> None:
    store = Store(2500, {number: delete_first(3) for number in range(1, 4)})
    listing = read(store)
    assert listing.consistent
    assert {name for _, name in listing.items} >= set(store.names)
    assert store.offsets == [0, 950, 1900]


def test_changes_that_leave_the_numbers_as_they_are_hide_no_item_from_the_first_reader() -> None:
    store = Store(2000, {1: delete_and_append(1), 2: delete_and_append(1)})
    there_all_the_time = set(store.names[2:])
    listing = read(store)
    assert listing.consistent
    assert {name for _, name in listing.items} >= there_all_the_time


def test_more_deletions_than_the_overlap_are_noticed_and_bridged_by_a_larger_one() -> None:
    first, second = OVERLAPS
    store = Store(3500, {number: delete_first(first + 1) for number in range(1, 9)})
    assert read(store).consistent
    assert store.offsets[:2] == [0, PAGE_SIZE - first]
    assert PAGE_SIZE - second in store.offsets
    assert not read(Store(6000, {number: delete_first(second + 1) for number in range(1, 20)})).consistent


def test_pages_that_are_in_no_order_prove_only_that_nothing_is_missing() -> None:
    store = Store(2500, {})
    store.names.reverse()
    assert not read(store).consistent
    known = {ResourceKey("default", name) for name in store.names}
    assert read(store, known).consistent
    assert not read(store, known | {ResourceKey("default", "gone")}).consistent


def test_additions_that_move_the_end_away_leave_no_gap() -> None:
    def add(names: list[str]) -> None:
        names.extend(f"z{len(names) + number}" for number in range(400))

    store = Store(900, {1: add, 2: add, 3: add, 4: add})
    listing = read(store)
    assert listing.consistent
    assert len(listing.items) >= 900
