"""The contract of outputs finds the bugs that it is there for."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kuma_sd import PATH, Context, Output, OutputError, OutputPlugin, Publication, TargetGroup, option
from kuma_sd.testing import OutputContract


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
