"""The kit for plugin authors: what its builders build, and that its contracts find the bugs they are there for."""

import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from kuma_sd import (
    PATH,
    Context,
    Key,
    Labels,
    Output,
    OutputError,
    OutputPlugin,
    Publication,
    Target,
    TargetGroup,
    TransformPlugin,
    option,
)
from kuma_sd.simulator import Dataplane
from kuma_sd.testing import (
    CODEC,
    OutputContract,
    TransformContract,
    assignment,
    control_plane,
    group,
    labels_of,
    publication,
    snapshot,
    target,
)


def test_an_assignment_reads_as_the_target_with_the_same_facts() -> None:
    built = assignment("web-01", control_plane="east", mesh="payments", service="web", labels={"env": "schön"}, index=2)
    assert built.key == Key("east", "payments", "web-01", 2)
    assert built.read() == target(
        "web-01", control_plane="east", mesh="payments", service="web", labels={"env": "schön"}
    )
    assert built.codec is CODEC


def test_equal_facts_make_equal_bytes() -> None:
    one, other = {"a": "1", "b": "2"}, {"b": "2", "a": "1"}
    assert assignment(labels=one) == assignment(labels=other)
    assert assignment(labels=one).data != assignment(labels=one, address="192.0.2.2:1").data


def test_targets_share_nothing() -> None:
    target().labels["env"] = "test"
    assert target().labels["env"] == "prod"


def test_a_snapshot_is_sorted_and_of_one_control_plane() -> None:
    built = snapshot("b", assignment("a", mesh="payments", control_plane="east"), "a", control_plane="east")
    keys = [entry.key for entry in built.assignments]
    assert keys == sorted(keys)
    assert {key.control_plane for key in keys} == {"east"}
    assert (built.control_plane, built.complete) == ("east", True)


def test_a_publication_is_sorted() -> None:
    built = publication("b", group("a", mesh="payments"), "a", received=7.0)
    assert [target_group.key.assignment.name for target_group in built.groups] == ["a", "b", "a"]
    assert built.received == 7.0


def test_a_group_has_the_labels_of_the_default_profile() -> None:
    built = group("web-01", service="web", labels={"env": "prod"})
    assert built.targets == ["192.0.2.1:5670"]
    assert built.labels == {
        "__metrics_path__": "/metrics",
        "__scheme__": "http",
        "dataplane": "web-01",
        "env": "prod",
        "instance": "web-01",
        "job": "web",
        "mesh": "default",
        "service": "web",
    }


@dataclass(frozen=True)
class FileOptions:
    path: Path = option(Path("targets.json"), PATH, "The file.")


class GoodOutput(Output):
    """Writes a JSON file, and has a place for every bug that the contract looks for."""

    def __init__(self, options: FileOptions, context: Context) -> None:
        self.path = options.path
        self.name = context.name

    def start(self) -> None:
        self.path.parent.mkdir(exist_ok=True)

    def publish(self, publication: Publication) -> None:
        try:
            self.path.write_bytes(b"[" + b",".join(publication.lines) + b"]")
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror}") from error

    def close(self) -> None:
        pass


class OutputCase(OutputContract):
    plugin = OutputPlugin(GoodOutput, FileOptions)

    def options(self, directory: Path) -> FileOptions:
        return FileOptions(directory / "new" / "targets.json")

    def broken(self, directory: Path) -> FileOptions:
        (directory / "taken").mkdir()
        return FileOptions(directory / "taken")

    def published(self, options: FileOptions) -> Any:
        return json.loads(options.path.read_bytes())


class TestAGoodOutput(OutputCase):
    pass


class TestAnOutputThatCannotBeReadBack(OutputCase):
    def broken(self, directory: Path) -> Any:
        del directory

    def published(self, options: FileOptions) -> Any:
        del options


class RemembersInItsStateDirectory(GoodOutput):
    def __init__(self, options: FileOptions, context: Context) -> None:
        super().__init__(options, context)
        self.context = context

    def start(self) -> None:
        super().start()
        (self.context.state_dir / "revision").write_text("1")


class TestAnOutputWithState(OutputCase):
    plugin = OutputPlugin(RemembersInItsStateDirectory, FileOptions)


class AsksForItsStateDirectoryWhenOpened(RemembersInItsStateDirectory):
    def __init__(self, options: FileOptions, context: Context) -> None:
        super().__init__(options, context)
        (self.context.state_dir / "revision").write_text("0")


class WritesWhenOpened(GoodOutput):
    def __init__(self, options: FileOptions, context: Context) -> None:
        super().__init__(options, context)
        self.start()


class NeverRemoves(GoodOutput):
    def publish(self, publication: Publication) -> None:
        before = self.path.read_bytes().strip(b"[]").split(b",\n") if self.path.exists() else []
        lines = sorted({*before, *publication.lines} - {b""})
        self.path.write_bytes(b"[" + b",\n".join(lines) + b"]")


class PublishesOnce(GoodOutput):
    def publish(self, publication: Publication) -> None:
        if not self.path.exists():
            super().publish(publication)


class RemovesAtTheEnd(GoodOutput):
    def close(self) -> None:
        self.path.write_bytes(b"[]")


class ClosesOnce(GoodOutput):
    def close(self) -> None:
        del self.name


class CannotCloseBesideAnother(GoodOutput):
    instances = 0

    def start(self) -> None:
        super().start()
        (self.path.parent / "lock").open("x").close()


class RaisesWhatItWants(GoodOutput):
    def publish(self, publication: Publication) -> None:
        self.path.write_bytes(b"[" + b",".join(publication.lines) + b"]")


class NeverFails(GoodOutput):
    def publish(self, publication: Publication) -> None:
        if not self.path.is_dir():
            super().publish(publication)


class SaysTooMuch(GoodOutput):
    def publish(self, publication: Publication) -> None:
        try:
            super().publish(publication)
        except OutputError as error:
            raise OutputError(f"{error}\nreally") from error


class ExplainsItself(GoodOutput):
    def explain(self, group: TargetGroup) -> tuple[str, bool]:
        return f"{group.targets[0]} is in {self.path}", True

    def files(self, publication: Publication) -> dict[Path, tuple[bytes, ...]]:
        return {self.path: tuple(publication.lines)}

    def warnings(self) -> list[str]:
        return ["the path is odd"]


class TestAnOutputThatExplainsItself(OutputCase):
    plugin = OutputPlugin(ExplainsItself, FileOptions)


class MisspeltExplain(GoodOutput):
    def explian(self, group: TargetGroup) -> tuple[str, bool]:
        return group.targets[0], True


class ExplainsWithoutAGroup(GoodOutput):
    def explain(self) -> tuple[str, bool]:
        return "somewhere", True


class ExplainsWithATextAlone(GoodOutput):
    def explain(self, _group: TargetGroup) -> Any:
        return "somewhere"


class WarnsOfNumbers(GoodOutput):
    def warnings(self) -> list[int]:
        return [7]


@pytest.mark.parametrize(
    ("output", "test"),
    [
        (MisspeltExplain, "test_what_it_offers_is_spelt_right"),
        (ExplainsWithoutAGroup, "test_what_it_offers_is_spelt_right"),
        (ExplainsWithATextAlone, "test_its_explanations_and_advice_are_text"),
        (WarnsOfNumbers, "test_its_explanations_and_advice_are_text"),
        (WritesWhenOpened, "test_opening_claims_and_writes_nothing"),
        (AsksForItsStateDirectoryWhenOpened, "test_opening_claims_and_writes_nothing"),
        (NeverRemoves, "test_it_publishes_whatever_comes"),
        (PublishesOnce, "test_it_publishes_whatever_comes"),
        (RemovesAtTheEnd, "test_closing_takes_nothing_away_nor_does_closing_twice"),
        (ClosesOnce, "test_closing_takes_nothing_away_nor_does_closing_twice"),
        (CannotCloseBesideAnother, "test_a_new_instance_takes_over"),
        (RaisesWhatItWants, "test_it_fails_with_an_output_error"),
        (NeverFails, "test_it_fails_with_an_output_error"),
        (SaysTooMuch, "test_it_fails_with_an_output_error"),
    ],
)
def test_the_contract_finds_an_output_that(output: type[GoodOutput], test: str, tmp_path: Path) -> None:
    case = OutputCase()
    case.plugin = OutputPlugin(output, FileOptions)
    with pytest.raises((AssertionError, AttributeError, OSError, ValueError)):
        getattr(case, test)(tmp_path)


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


def test_labels_are_made_anew_for_each_call() -> None:
    assert labels_of(target()) is not labels_of(target())


def test_a_control_plane_runs_while_the_block_does() -> None:
    with control_plane("backend-01", Dataplane("web-01", service="web")) as running:
        assert [dataplane.name for dataplane in running.world.dataplanes] == ["backend-01", "web-01"]
        assert running.url == f"grpc://{running.address}"
        with grpc.insecure_channel(running.address) as channel:
            grpc.channel_ready_future(channel).result(timeout=10)


A_PLUGINS_TESTS = """
from kuma_sd import TransformPlugin
from kuma_sd.testing import TransformContract

class TestNothing(TransformContract):
    plugin = TransformPlugin(lambda options, context: lambda labels, target: [labels])

def test_the_fixture(kuma_control_plane):
    assert kuma_control_plane.world.dataplanes == []
    assert kuma_control_plane.url.startswith("grpc://127.0.0.1:")
"""


def test_a_plugin_can_use_it_as_its_documentation_says(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["kuma_sd.testing"]')
    (tmp_path / "test_plugin.py").write_text(A_PLUGINS_TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "."]
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert "7 passed" in done.stdout, done.stdout


def test_importing_it_needs_no_pytest_and_loads_no_grpc() -> None:
    program = "import sys; sys.modules['pytest'] = None; import kuma_sd.testing; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    assert "kuma_sd.testing" in loaded
    assert not {"grpc", "google.protobuf", "kuma_sd.simulator"} & set(loaded)
