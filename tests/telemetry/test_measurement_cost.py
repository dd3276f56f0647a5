"""Counting a publication costs a bounded share of the time."""

import gc
import weakref

import pytest

from kuma_sd.core.publication import Publication
from kuma_sd.telemetry import measurement_cost
from kuma_sd.telemetry.measurement_cost import Measured
from kuma_sd.telemetry.publication_counts import Size
from kuma_sd.testing import publication


def test_a_publication_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[Publication] = []
    first, second = publication("a"), publication("a", "b")
    cache = Measured(lambda one: measured.append(one) or len(one.groups), 0)  # type: ignore[func-returns-value]
    monkeypatch.setattr(measurement_cost, "SHARE", float("inf"))
    assert cache.of(None) == 0
    assert [cache.of(first), cache.of(first), cache.of(second)] == [1, 1, 2]
    assert measured == [first, second]


def test_when_measuring_is_slow_the_last_answer_stands_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Measured(lambda one: len(one.groups), 0)
    monkeypatch.setattr(measurement_cost, "SHARE", 1e-12)
    assert [cache.of(publication("a")), cache.of(publication("a", "b"))] == [1, 1]


def test_no_publication_is_kept_alive() -> None:
    cache = Measured(Size.of, Size())
    one = publication("a")
    kept = weakref.ref(one)
    cache.of(one)
    del one
    gc.collect()
    assert kept() is None
