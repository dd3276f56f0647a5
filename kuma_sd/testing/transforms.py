"""Contract tests for transforms."""

import copy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kuma_sd import ExplainsLabels, Labels, ReadsLabels, Target, Transform, TransformPlugin
from kuma_sd.plugin.member_check import faults
from kuma_sd.plugin.optional_interfaces import OF_TRANSFORMS
from kuma_sd.testing.builders import context, labels_of, target


class TransformContract:
    """Tests what every transform must do. Subclass it as ``TestSomething``, set ``plugin``, and run pytest."""

    plugin: TransformPlugin

    seconds_per_call = 0.0005  # at the start every target is transformed once: 100,000 of them take 50 s then

    def options(self, directory: Path) -> Any:  # noqa: ANN401 (each plugin has its own class)
        """Return the options to open it with; put files that they name into this empty directory."""
        del directory
        return self.plugin.options()

    def examples(self) -> list[Target]:
        """Return targets to test it with; add those that your transform treats specially."""
        return [
            target(),
            target("web-01", mesh="payments", service="web", address="[2001:db8::1]:5670", scheme="https"),
            target("gateway-01", address=":1234", metrics_path="", labels={}),
            target("schön-01", labels={"odd": "\"quoted\" \\ <&> 'x' \u2028 ☃ 😀 {}: # %", "empty": ""}),
        ]

    def test_it_changes_none_of_its_arguments(self, tmp_path: Path) -> None:
        """The same target goes through several chains."""
        transform = self._open(tmp_path)
        for example in self.examples():
            labels, before = labels_of(example), (labels_of(example), copy.deepcopy(example))
            list(transform(labels, example))
            assert (labels, example) == before, f"the arguments for {example.name} were changed; return new label sets"

    def test_its_results_are_label_sets(self, tmp_path: Path) -> None:
        """Each result is a dictionary from text to text; there may be none, one or several."""
        transform = self._open(tmp_path)
        for example in self.examples():
            for result in transform(labels_of(example), example):
                assert isinstance(result, dict), f"a result is no dictionary: {result!r}"
                assert all(isinstance(text, str) for pair in result.items() for text in pair), (
                    f"not all text: {result!r}"
                )

    def test_the_same_in_gives_the_same_out(self, tmp_path: Path) -> None:
        """Results are cached, so they must depend only on the arguments: not on earlier calls, nor on time."""
        one, other = self._open(tmp_path), self._open(tmp_path)
        examples = self.examples()
        first = [_results(one, example) for example in examples]
        again = [_results(one, example) for example in reversed(examples)][::-1]
        elsewhere = [_results(other, example) for example in examples]
        assert first == again, "called again in another order, it gave other results"
        assert first == elsewhere, "opened again with equal options, it gave other results"

    def test_what_it_offers_is_spelt_right(self, tmp_path: Path) -> None:
        """The daemon looks for optional members by name, and would overlook one that is misspelt."""
        found = list(faults(self._open(tmp_path), Callable, OF_TRANSFORMS))  # type: ignore[arg-type] # (has no type)
        assert not found, "; ".join(found)

    def test_its_explanations_end_with_its_result(self, tmp_path: Path) -> None:
        """`kuma-sd explain` shows the steps of explain(), and ignores them if their end is another result."""
        transform = self._open(tmp_path)
        if isinstance(transform, ReadsLabels):
            assert not isinstance(transform.reads, str), "reads is a set of label names, not one text"
            assert all(isinstance(name, str) for name in transform.reads), "reads is a set of label names"
        for example in self.examples():
            results = _results(transform, example)
            if isinstance(transform, ExplainsLabels) and len(results) < 2:  # noqa: PLR2004 (several are not explained)
                steps = list(transform.explain(labels_of(example), example))
                assert all(isinstance(step, str) for step, _ in steps), "explain() yields a text for each step"
                end = steps[-1][1] if steps else labels_of(example)
                assert _present(end) == _present(next(iter(results), None)), (
                    f"explain() of {example.name} ends with {end}"
                )

    def test_it_is_fast(self, tmp_path: Path) -> None:
        """It runs once for each changed target, in the single thread that converts all targets."""
        transform = self._open(tmp_path)
        arguments = [(labels_of(example), example) for example in self.examples()] * 250
        started = time.process_time()
        for labels, example in arguments:
            list(transform(labels, example))
        spent = (time.process_time() - started) / len(arguments)
        assert spent < self.seconds_per_call, f"a call takes {spent * 1e6:.0f} µs"

    def _open(self, directory: Path) -> Transform:
        return self.plugin.open(self.options(directory), context(directory / "state"))


def _results(transform: Transform, example: Target) -> list[Labels]:
    return [dict(result) for result in transform(labels_of(example), example)]


def _present(labels: Labels | None) -> Labels | None:
    return labels and {name: value for name, value in labels.items() if value}
