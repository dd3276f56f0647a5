"""A search finds what it should, looks no longer than it may, and happens alone."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_kit import target_group

from kuma_sd import ConfigError
from kuma_sd.prometheus.matchers import parse_matchers
from kuma_sd.web.application import Refused
from kuma_sd.web.page.search import CHUNK, Turn, search

GROUPS = [
    target_group("web-1", "shop", env="prod", path=r"C:\new", quoted='say "hi"'),
    target_group("web-2", "shop", env="dev", city="Köln"),
    target_group("api-1", "payments", env="prod"),
]


def found(text: str) -> list[str]:
    return [group.key.assignment.name for group in search(GROUPS, text, range(10)).groups]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ["web-1", "web-2", "api-1"]),
        ("WEB-", ["web-1", "web-2"]),
        ("prod shop", ["web-1"]),
        ("Köln", ["web-2"]),
        (r"c:\NEW", ["web-1"]),
        ('"hi"', ["web-1"]),
        ("10.0.0.1:5670", ["web-1", "web-2", "api-1"]),
        ("nothing", []),
        ('mesh="shop"', ["web-1", "web-2"]),
        ('mesh="shop", env!="dev"', ["web-1"]),
        ('env=~"pr.*", dataplane=~".*-1"', ["web-1", "api-1"]),
        ('city=""', ["web-1", "api-1"]),
        ('city="Köln"', ["web-2"]),
        (r'path="C:\\new"', ["web-1"]),
        ('service="web", __address__="10.0.0.1:5670"', ["web-1", "web-2", "api-1"]),
        ('env="pro"', []),
    ],
)
def test_words_and_matchers_find(text: str, names: list[str]) -> None:
    assert found(text) == names


def test_wrong_matchers_are_refused() -> None:
    with pytest.raises(ConfigError, match="expected a value"):
        search(GROUPS, "env=", range(10))


def test_a_service_is_found_by_whatever_label_a_profile_gives_it() -> None:
    group = target_group("a", service="", __meta_kuma_service="db")
    assert search([group], 'service="db"', range(10)).count == 1


@given(st.dictionaries(st.from_regex("[a-z]{1,3}", fullmatch=True), st.text(min_size=1)), st.data())
def test_any_label_is_found_by_itself_as_a_matcher_and_by_each_of_its_words(
    labels: dict[str, str], data: st.DataObject
) -> None:
    group = target_group("a", **labels)
    for name, value in labels.items():
        matcher = f"{name}={json.dumps(value, ensure_ascii=False)}" if value.isprintable() else None
        if matcher and parse_matchers(matcher):
            assert search([group], matcher, range(1)).count == 1
        words = [word for word in value.split() if word.isascii() and not re.search("[={}]|!~|[\x7f]", word)]
        if words:
            assert search([group], data.draw(st.sampled_from(words)), range(1)).count == 1


def test_pages_follow_one_another_without_a_gap() -> None:
    groups = [target_group(f"web-{number:04}") for number in range(3 * CHUNK)]
    pages = [search(groups, "web", range(offset, offset + 50)).groups for offset in range(0, len(groups), 50)]
    assert [item for page in pages for item in page] == groups
    assert {search(groups, "web", range(offset, offset + 50)).count for offset in (0, 400, 9999)} == {len(groups)}


def test_a_search_ends_when_its_time_is_over_and_says_how_far_it_got() -> None:
    result = search(GROUPS, "web", range(10), budget=-1.0)
    assert (result.count, result.looked, result.total) == (0, 0, 3)


def test_only_one_search_happens_at_a_time() -> None:
    turn = Turn(patience=0.01)
    with turn, pytest.raises(Refused, match="others search") as refused, turn:
        raise AssertionError("two at a time")
    assert refused.value.status == 503
    with turn:
        pass
