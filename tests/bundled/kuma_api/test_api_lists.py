"""Lists in pages: what fits together, what does not, and where a next page may lead."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from kuma_sd import SourceError
from kuma_sd_bundled.kuma_api.documents import Identity, ResourceKey
from kuma_sd_bundled.kuma_api.lists import PAGE_SIZE, Listing, read_list

NEXT = "http://elsewhere.example/dataplanes?offset={}&size=1000"


def read_item(raw: msgspec.Raw) -> tuple[ResourceKey, str]:
    identity = msgspec.json.decode(raw, type=Identity)
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


def read(pages: Pages) -> Listing[str]:
    return read_list(pages, "/dataplanes", read_item)


def test_pages_are_asked_for_by_their_offset_and_never_elsewhere() -> None:
    pages = Pages(page(["a"], 2, 1000), page(["b"], 2))
    listing = read(pages)
    assert (list(listing.items.values()), listing.consistent) == (["a", "b"], True)
    assert pages.asked == [f"/dataplanes?size={PAGE_SIZE}", f"/dataplanes?offset=1000&size={PAGE_SIZE}"]


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
    assert (list(listing.items), listing.unreadable) == ([("default", "a")], [b'{"mesh": "default"}'])
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

    assert not read_list(Endless(), "/dataplanes", read_item).consistent


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
def test_what_is_no_list_is_refused_with_its_beginning(body: bytes) -> None:
    with pytest.raises(SourceError, match="is no list of Kuma's API"):
        read(Pages(body))
