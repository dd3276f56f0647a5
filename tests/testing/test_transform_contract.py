"""The contract of transforms finds the bugs that it is there for."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kuma_sd import Labels, Target, TransformPlugin
from kuma_sd.testing import TransformContract, target


def good_transform(labels: Labels, seen: Target) -> list[Labels]:
    return [labels | {"site": seen.mesh}, labels] if seen.mesh == "payments" else []


class TestAGoodTransform(TransformContract):
    plugin = TransformPlugin(lambda _options, _context: good_transform)

    def examples(self) -> list[Target]:
        return [*super().examples(), target("odd-01", mesh="payments")]


class Stamps:
    reads = frozenset({"mesh"})

    def __call__(self, labels: Labels, target: Target) -> list[Labels]:
        return [labels | {"site": target.mesh}] if target.mesh == "payments" else []

    def explain(self, labels: Labels, target: Target) -> list[tuple[str, Labels | None]]:
        return [("stamp", labels | {"site": target.mesh} if target.mesh == "payments" else None)]


class TestATransformThatExplainsItself(TransformContract):
    plugin = TransformPlugin(lambda _options, _context: Stamps())


class MisspeltReads:
    read = frozenset({"mesh"})

    def __call__(self, labels: Labels, _target: Target) -> list[Labels]:
        return [labels]


class ExplainsOnlyLabels(Stamps):
    def explain(self, labels: Labels) -> Any:  # type: ignore[override] # (the fault)
        return [("stamp", labels)]


class ExplainsSomethingElse(Stamps):
    def explain(self, labels: Labels, target: Target) -> list[tuple[str, Labels | None]]:
        return [(target.name, labels)]


class ReadsOneText(Stamps):
    reads: Any = "mesh"


def changes_its_labels(labels: Labels, _: Target) -> list[Labels]:
    labels["site"] = "east"
    return [labels]


def changes_its_target(labels: Labels, seen: Target) -> list[Labels]:
    seen.labels.clear()
    return [labels]


def gives_no_label_sets(_: Labels, __: Target) -> Any:
    return [("site", "east")]


def gives_numbers(labels: Labels, seen: Target) -> Any:
    return [labels | {"port": int(seen.address.rpartition(":")[2])}]


def is_slow(labels: Labels, _: Target) -> list[Labels]:
    sum(range(200_000))
    return [labels]


def counts_its_calls() -> Callable[..., list[Labels]]:
    calls = itertools.count()
    return lambda labels, _: [labels | {"call": str(next(calls))}]


INSTANCES = itertools.count()


def counts_its_instances() -> Callable[..., list[Labels]]:
    number = str(next(INSTANCES))
    return lambda labels, _: [labels | {"instance": number}]


@pytest.mark.parametrize(
    ("make", "test"),
    [
        (MisspeltReads, "test_what_it_offers_is_spelt_right"),
        (ExplainsOnlyLabels, "test_what_it_offers_is_spelt_right"),
        (ExplainsSomethingElse, "test_its_explanations_end_with_its_result"),
        (ReadsOneText, "test_its_explanations_end_with_its_result"),
        (lambda: changes_its_labels, "test_it_changes_none_of_its_arguments"),
        (lambda: changes_its_target, "test_it_changes_none_of_its_arguments"),
        (lambda: gives_no_label_sets, "test_its_results_are_label_sets"),
        (lambda: gives_numbers, "test_its_results_are_label_sets"),
        (lambda: is_slow, "test_it_is_fast"),
        (counts_its_calls, "test_the_same_in_gives_the_same_out"),
        (counts_its_instances, "test_the_same_in_gives_the_same_out"),
    ],
)
def test_the_contract_finds_a_transform_that(make: Callable[[], Any], test: str, tmp_path: Path) -> None:
    case = TransformContract()
    case.plugin = TransformPlugin(lambda _options, _context: make())
    with pytest.raises(AssertionError):
        getattr(case, test)(tmp_path)
