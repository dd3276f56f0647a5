"""What is remembered of texts from outside is bounded, by number and by size."""

from collections import OrderedDict
from typing import Any

import pytest

from kuma_sd.core.bounded_cache import LONGEST_REMEMBERED, remember_newest, remember_short


@pytest.mark.parametrize("long", ["x" * (LONGEST_REMEMBERED + 1), ("x" * LONGEST_REMEMBERED, "y")])
def test_what_is_long_is_computed_and_not_remembered(long: str | tuple[str, ...]) -> None:
    computed: list[object] = []

    @remember_short(10)
    def result(text: Any) -> int:
        computed.append(text)
        return len(text)

    for _ in range(3):
        assert result(long) == len(long)
        assert result("short") == 5
    assert computed == [long, "short", long, long]


def test_the_newest_are_remembered() -> None:
    memory = OrderedDict[str, int]()
    for number, name in enumerate("abcad"):
        remember_newest(memory, name, number, most=3)
    assert memory == OrderedDict(c=2, a=3, d=4)
