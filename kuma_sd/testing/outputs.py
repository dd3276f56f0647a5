"""Contract tests for outputs."""

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from kuma_sd import (
    ExplainsGroups,
    GivesRemarks,
    GivesWarnings,
    Output,
    OutputError,
    OutputPlugin,
    Publication,
    WritesFiles,
)
from kuma_sd.plugin.member_check import faults
from kuma_sd.plugin.optional_interfaces import OF_OUTPUTS
from kuma_sd.testing.builders import context, group, publication


class OutputContract:
    """Tests what every output must do. Subclass it as ``TestSomething``, set ``plugin``, and run pytest.

    Override `options()` if the defaults write outside the test's directory. Override `broken()` if the output can be
    made to fail, and `published()` if its result can be read back: then more is tested.
    """

    plugin: OutputPlugin

    def options(self, directory: Path) -> Any:  # noqa: ANN401 (each plugin has its own class)
        """Return options for one instance, which must write only into this empty directory."""
        del directory
        return self.plugin.options()

    def broken(self, directory: Path) -> Any:  # noqa: ANN401 (each plugin has its own class)
        """Return options with which start() or publish() must fail; None if there are none."""
        del directory
        return None

    def published(self, options: Any) -> Iterable[Any] | None:  # noqa: ANN401 (each plugin has its own class)
        """Read back the published groups as ``{"targets": […], "labels": {…}}``; None if that is not possible."""
        del options
        return None

    def test_opening_claims_and_writes_nothing(self, tmp_path: Path) -> None:
        """`kuma-sd check` opens every output beside a running daemon."""
        options = self.options(tmp_path)
        before = sorted(tmp_path.rglob("*"))
        with contextlib.closing(self._open(options, tmp_path)), contextlib.closing(self._open(options, tmp_path)):
            assert sorted(tmp_path.rglob("*")) == before, "open() wrote something; that is for start() and publish()"

    def test_it_publishes_whatever_comes(self, tmp_path: Path) -> None:
        """Additions, changes, removals, nothing new, an empty list, unusual text."""
        options = self.options(tmp_path)
        with self._started(options, tmp_path) as output:
            for each in _publications():
                output.publish(each)
                self._assert_published(options, each)

    def test_closing_takes_nothing_away_nor_does_closing_twice(self, tmp_path: Path) -> None:
        """Published targets stay when the daemon ends."""
        options, last = self.options(tmp_path), publication("backend-01", "backend-02")
        with self._started(options, tmp_path) as output:
            output.publish(last)
            output.close()
        self._assert_published(options, last)

    def test_a_new_instance_takes_over(self, tmp_path: Path) -> None:
        """A reload opens the new instance while the old one runs, and starts it after the old one's close()."""
        options, last = self.options(tmp_path), publication("backend-02")
        new = self._open(options, tmp_path)
        with self._started(options, tmp_path) as old:
            old.publish(publication("backend-01"))
        with contextlib.closing(new):
            new.start()
            new.publish(last)
        self._assert_published(options, last)

    def test_what_it_offers_is_spelt_right(self, tmp_path: Path) -> None:
        """The daemon looks for optional methods by name, and would overlook one that is misspelt."""
        with contextlib.closing(self._open(self.options(tmp_path), tmp_path)) as output:
            found = list(faults(output, Output, OF_OUTPUTS))
            assert not found, "; ".join(found)

    def test_its_explanations_and_advice_are_text(self, tmp_path: Path) -> None:
        """`kuma-sd explain`, `diff` and `check` show what the optional methods return."""
        shown = publication("backend-01", "backend-02")
        with self._started(self.options(tmp_path), tmp_path) as output:
            output.publish(shown)
            if isinstance(output, ExplainsGroups):
                where, taken = output.explain(shown.groups[0])
                assert isinstance(where, str), f"explain() returns a text and a truth value, not {where!r}"
                assert isinstance(taken, bool), f"explain() returns a text and a truth value, not {taken!r}"
            if isinstance(output, WritesFiles):
                for path, lines in output.files(shown).items():
                    assert isinstance(path, Path), f"files() returns lines by path, not by {path!r}"
                    assert all(isinstance(line, bytes) for line in lines), "a line of files() is bytes"
            if isinstance(output, GivesWarnings):
                assert all(isinstance(warning, str) for warning in output.warnings()), "warnings() returns sentences"
            if isinstance(output, GivesRemarks):
                assert all(isinstance(remark, str) for remark in output.remarks()), "remarks() returns sentences"

    def test_it_fails_with_an_output_error(self, tmp_path: Path) -> None:
        """Any other exception counts as a bug of the plugin and is logged with its traceback."""
        options = self.broken(tmp_path)
        if options is None:
            return
        error = self._failure(options, tmp_path)
        assert error, "neither start() nor publish() raised an OutputError with the options of broken()"
        assert len(str(error).splitlines()) == 1, "an OutputError's message is one line that says what to do about it"

    def _open(self, options: Any, directory: Path) -> Output:  # noqa: ANN401 (each plugin has its own class)
        return self.plugin.open(options, context(directory / "state"))

    def _failure(self, options: Any, directory: Path) -> OutputError | None:  # noqa: ANN401 (each plugin has its own class)
        try:
            with self._started(options, directory) as output:
                output.publish(publication("backend-01"))
        except OutputError as error:
            return error
        return None

    @contextlib.contextmanager
    def _started(self, options: Any, directory: Path) -> Iterator[Output]:  # noqa: ANN401 (each plugin has its own class)
        with contextlib.closing(self._open(options, directory)) as output:
            output.start()
            yield output

    def _assert_published(self, options: Any, expected: Publication) -> None:  # noqa: ANN401 (each plugin has its own class)
        found = self.published(options)
        if found is not None:
            encode = msgspec.json.Encoder(order="sorted").encode
            wanted = Counter(
                encode({"targets": target_group.targets, "labels": target_group.labels})
                for target_group in expected.groups
            )
            present = Counter(map(encode, found))
            assert not wanted - present, f"not published: {list(wanted - present)}"
            assert not present - wanted, f"published, but should not be: {list(present - wanted)}"


def _publications() -> Iterator[Publication]:
    backend, web = group("backend-01"), group("web-01", address="[2001:db8::1]:5670")
    yield publication()
    yield publication(backend)
    yield publication(backend, web)
    yield publication(backend, web)
    yield publication(backend, group("web-01", address="192.0.2.2:5670", labels={"env": "test"}))
    yield publication(group("schön-01", labels={"odd": "\"quoted\" \\ <&> 'x' \x7f \u2028 ☃ 😀 {}: # %"}))
    yield publication(*(f"backend-{number}" for number in range(1000)))
    yield publication()
