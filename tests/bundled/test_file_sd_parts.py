"""Several parts for one Prometheus: nothing is lost when their number changes, and one change costs one part."""

import contextlib
import json
import math
import os
import re
import shutil
import tempfile
import textwrap
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from opened import opened_below
from waiting import eventually
from watcher_kit import settle

from kuma_sd import ConfigError, Context, OutputError, TargetGroup
from kuma_sd.plugin.manager import Plugins
from kuma_sd.settings.loader import load
from kuma_sd.system.file_watcher import SETTLED_NANOSECONDS
from kuma_sd.testing import OutputContract, group, publication
from kuma_sd_bundled.file_sd import FileSD, FileSDOptions, kuma_sd_output_plugin
from kuma_sd_bundled.file_sd.layout import Layout
from kuma_sd_bundled.file_sd.parts_overlap import FEWER_OVERLAP_SECONDS, PartCounts
from kuma_sd_bundled.file_sd.writer import Writer

DOCS = Path(__file__).parents[2] / "docs/parts.md"

PLUGIN = kuma_sd_output_plugin()

GROUPS = [group(f"b-{number:03}", address=f"192.0.2.1:{number + 1}") for number in range(200)]
ALL = {one.targets[0] for one in GROUPS}


class TestParts(OutputContract):
    plugin = PLUGIN

    def options(self, directory: Path) -> FileSDOptions:
        return FileSDOptions(path=directory / "{part}" / "kuma.json", parts=3)

    def broken(self, directory: Path) -> FileSDOptions:
        (directory / "1" / "kuma.json").mkdir(parents=True)
        return self.options(directory)

    def published(self, options: FileSDOptions) -> Any:
        paths = [options.path.parent.with_name(str(number)) / "kuma.json" for number in range(3)]
        return [one for path in paths for one in json.loads(path.read_bytes())]


@contextlib.contextmanager
def started(directory: Path, **options: Any) -> Iterator[FileSD]:
    defaults: dict[str, Any] = {"path": directory / "{part}" / "kuma.json"}
    output = PLUGIN.open(FileSDOptions(**(defaults | options)), Context("file_sd"))
    assert isinstance(output, FileSD)
    with contextlib.closing(output):
        output.start()
        yield output


def addresses(paths: Iterable[Path]) -> set[str]:
    return {address for path in paths for one in json.loads(path.read_bytes()) for address in one["targets"]}


def read_by(directory: Path, parts: int) -> set[str]:
    """Return what a Prometheus finds that is configured for so many parts."""
    return addresses(directory / str(number) / "kuma.json" for number in range(parts))


def states(directory: Path) -> dict[str, tuple[int, int]]:
    """Return what changes for each file that is written."""
    found = {path: path.stat() for path in directory.glob("*/kuma.json")}
    return {path.parent.name: (status.st_ino, status.st_mtime_ns) for path, status in found.items()}


def test_each_part_has_a_directory_of_its_own_and_together_they_are_the_whole(tmp_path: Path) -> None:
    with started(tmp_path) as output:
        # Before anything is published: a directory that Prometheus does not find at its start it sees late.
        assert {path.read_bytes() for path in tmp_path.glob("*/kuma.json")} == {b"[]\n"}
        output.publish(publication(*GROUPS))
        assert len(states(tmp_path)) == 16
        assert read_by(tmp_path, 16) == ALL
        assert sum(len(addresses([path])) for path in tmp_path.glob("*/kuma.json")) == len(ALL)
        output.publish(publication())
        assert {path.read_bytes() for path in tmp_path.glob("*/kuma.json")} == {b"[]\n"}


def test_a_restart_takes_nothing_away_before_the_first_publication(tmp_path: Path) -> None:
    with started(tmp_path) as output:
        output.publish(publication(*GROUPS))
    before = states(tmp_path)
    with started(tmp_path) as output:
        assert states(tmp_path) == before
        output.publish(publication(*GROUPS))
        assert states(tmp_path) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files to others needs root")
def test_files_of_another_user_are_no_former_parts(tmp_path: Path) -> None:
    theirs = tmp_path / "99" / "kuma.json"
    theirs.parent.mkdir()
    theirs.touch()
    os.chown(theirs, 65534, 65534)
    with started(tmp_path, parts=4) as output:
        output.publish(publication(*GROUPS))
        assert sorted(states(tmp_path)) == ["0", "1", "2", "3", "99"]
        assert theirs.read_bytes() == b""


def test_shards_and_parts_together(tmp_path: Path) -> None:
    path = tmp_path / "{shard}" / "{part}" / "kuma.json"
    with started(tmp_path, path=path, shards=2, parts=4) as output:
        output.publish(publication(*GROUPS))
        servers = [read_by(tmp_path / str(shard), 4) for shard in range(2)]
        assert servers[0] | servers[1] == ALL
        assert not servers[0] & servers[1]
        entries = [{"files": [str(tmp_path / "1" / str(part) / "kuma.json")]} for part in range(4)]
        assert output.service_discovery((1, 2)) == {"file_sd_configs": entries}
        assert all(Path(output.explain(one)[0]) in output.files(publication(*GROUPS)) for one in GROUPS)


def test_one_change_writes_one_part_and_opens_no_other(tmp_path: Path) -> None:
    with started(tmp_path, parts=64) as output:
        output.publish(publication(*GROUPS))
        let_the_watcher_settle(output)
        before = states(tmp_path)
        changed = group("b-005", address=GROUPS[5].targets[0], labels={"version": "2"})
        with opened_below(tmp_path) as opened:
            output.publish(publication(*GROUPS[:5], changed, *GROUPS[6:]))
            settle(output._restorer._watcher)
        after = states(tmp_path)
        part = Path(output.explain(changed)[0]).parent.name
        assert [name for name in before if before[name] != after[name]] == [part]
        # And the directory above, with the lock in its folder.
        assert {path.parts[:1] for path in opened} == {(part,), (), (".kuma-sd",)}
        with opened_below(tmp_path) as opened:
            output.publish(publication(*GROUPS[:5], changed, *GROUPS[6:], received=2.0))
        assert opened == []
        assert states(tmp_path) == after


def let_the_watcher_settle(output: FileSD) -> None:
    """Wait until the files are so old that their time tells whether they changed, and were looked at since."""
    time.sleep(SETTLED_NANOSECONDS / 1e9 + 0.1)
    settle(output._restorer._watcher)


def test_all_parts_take_one_inotify_instance_and_one_lock(tmp_path: Path) -> None:
    # Watchers of earlier tests may take a moment to end.
    with contextlib.suppress(AssertionError):
        eventually(lambda: not descriptors()["inotify"], "nothing is watched", patience=5)
    before = descriptors()
    with started(tmp_path, parts=64) as output:
        output.publish(publication(*GROUPS))
        settle(output._restorer._watcher)
        taken = descriptors() - before
        assert taken["inotify"] == 1
        assert taken["file"] == 1
        with pytest.raises(OutputError, match="another kuma-sd writes"), started(tmp_path, parts=64):
            pass
    with started(tmp_path, parts=64):
        pass


def descriptors() -> Counter[str]:
    """Count the inotify instances, and the files below the temporary directory, that this process has open."""
    kinds = Counter[str]()
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            target = str(descriptor.readlink())
            kinds["inotify" if "inotify" in target else "file" if ".lock" in target else "other"] += 1
    return kinds


def test_a_part_that_somebody_changes_is_restored_also_with_its_directory(tmp_path: Path) -> None:
    with started(tmp_path, parts=4) as output:
        output.publish(publication(*GROUPS))
        (tmp_path / "2" / "kuma.json").write_bytes(b"[]")
        eventually(lambda: read_by(tmp_path, 4) == ALL, "the part is restored")
        (tmp_path / "3").rename(tmp_path / "away")
        eventually(lambda: (tmp_path / "3" / "kuma.json").exists() and read_by(tmp_path, 4) == ALL, "it is made again")


def test_a_part_that_cannot_be_written_keeps_no_other_back(tmp_path: Path) -> None:
    (tmp_path / "1" / "kuma.json").mkdir(parents=True)
    with started(tmp_path, parts=4) as output:
        with pytest.raises(OutputError, match=r"cannot write '.*/1/kuma.json'"):
            output.publish(publication(*GROUPS))
        before = states(tmp_path)
        (tmp_path / "1" / "kuma.json").rmdir()
        output.publish(publication(*GROUPS))
        after = states(tmp_path)
        assert {part for part in before if before[part] != after[part]} == {"1"}
        assert read_by(tmp_path, 4) == ALL


def test_more_parts_leave_the_targets_in_the_old_ones_until_somebody_accepts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with started(tmp_path, parts=2) as output:
        output.publish(publication(*GROUPS))
    caplog.clear()
    with started(tmp_path, parts=5) as output:
        assert output.facts() == {"parts": "5; targets stay in the 2 before until all are written"}
        output.publish(publication(*GROUPS))
        assert read_by(tmp_path, 2) == read_by(tmp_path, 5) == ALL
        (record,) = caplog.records
        assert record.levelname == "WARNING"
        assert " parts=5 old_parts=2 until=" in record.getMessage()
        assert "`kuma-sd prometheus-config`" in record.getMessage()
        assert output.facts()["parts"].startswith("5; targets stay in the 2 before until ")
        # They are kept current meanwhile.
        output.publish(publication(*GROUPS[1:]))
        assert read_by(tmp_path, 2) == read_by(tmp_path, 5) == ALL - addresses_of(GROUPS[:1])
        assert output.accept() == ["the overlap with 2 parts is over: Prometheus has to read all 5 parts"]
        eventually(lambda: read_by(tmp_path, 2) != read_by(tmp_path, 5), "the old parts hold their share alone")
        assert read_by(tmp_path, 5) == ALL - addresses_of(GROUPS[:1])
        eventually(lambda: output.facts() == {"parts": "5"}, "the overlap is over")
        assert output.accept() == []


def addresses_of(groups: Iterable[TargetGroup]) -> set[str]:
    return {one.targets[0] for one in groups}


def test_an_overlap_survives_a_restart_and_ends_by_itself(tmp_path: Path) -> None:
    for parts in (2, 4):
        with started(tmp_path, parts=parts, parts_overlap=3.0) as output:
            output.publish(publication(*GROUPS))
    with started(tmp_path, parts=4, parts_overlap=3.0) as output:
        output.publish(publication(*GROUPS))
        assert read_by(tmp_path, 2) == ALL
        eventually(lambda: output.facts() == {"parts": "4"}, "the overlap is over")
        assert read_by(tmp_path, 2) != ALL == read_by(tmp_path, 4)
    # It is not begun again.
    with started(tmp_path, parts=4) as output:
        assert output.facts() == {"parts": "4"}


def test_fewer_parts_are_written_first_and_the_others_are_emptied_later_and_never_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kuma_sd_bundled.file_sd.parts_overlap.FEWER_OVERLAP_SECONDS", 1.0)
    with started(tmp_path, parts=4) as output:
        output.publish(publication(*GROUPS))
    before = states(tmp_path)
    with started(tmp_path, parts=2) as output:
        output.publish(publication(*GROUPS))
        after = states(tmp_path)
        assert read_by(tmp_path, 2) == ALL
        assert [before[part] == after[part] for part in ("2", "3")] == [True, True]
        # An operator who accepts says nothing about these: Prometheus may be reading them just now.
        assert output.accept() == []
        eventually(lambda: addresses(tmp_path / part / "kuma.json" for part in "23") == set(), "the others are empty")
        assert {(tmp_path / part / "kuma.json").read_bytes() for part in "23"} == {b"[]\n"}
        left = {tmp_path / part / "kuma.json" for part in "01"}
        eventually(lambda: output.files(publication(*GROUPS)).keys() == left, "the others are given up")
        # From now on they are nobody's.
        (tmp_path / "3" / "kuma.json").write_text("mine")
        settle(output._restorer._watcher)
    assert (tmp_path / "3" / "kuma.json").read_text() == "mine"


class Clock:
    """Stands still unless it is set."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def changed_twice(directory: Path, clock: Clock) -> tuple[PartCounts, Writer]:
    """Publish to 8, 2 and 3 parts, one after the other, before any overlap is over."""
    for parts in (8, 2, 3):
        layout = Layout.of(FileSDOptions(path=directory / "{part}" / "kuma.json", parts=parts))
        counts = PartCounts(parts, 900.0, clock, clock)
        counts.load(layout.record, layout.existing_parts)
        writer = Writer(layout, counts, lambda: None, lambda _file: None)
        writer.prepare()
        writer.publish(publication(*GROUPS))
    return counts, writer


def test_each_overlap_that_ends_is_logged_once_its_own_parts_are_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    counts, writer = changed_twice(tmp_path, clock)
    removed = [tmp_path / str(part) / "kuma.json" for part in range(3, 8)]
    caplog.set_level("INFO")
    caplog.clear()
    # The one that began last may end first.
    counts.end_early()
    writer.end_overlaps()
    assert caplog.messages == ["an overlap is over: targets left the old parts parts=3 old_parts=2"]
    assert read_by(tmp_path, 2) != ALL == read_by(tmp_path, 3)
    assert all(addresses([path]) for path in removed)
    caplog.clear()
    clock.now += FEWER_OVERLAP_SECONDS
    writer.end_overlaps()
    assert caplog.messages == ["an overlap is over: targets left the old parts parts=3 old_parts=8"]
    assert addresses(removed) == set()


def test_an_overlap_that_is_over_while_another_is_being_ended_is_due_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    counts, writer = changed_twice(tmp_path, clock)
    assert writer.next_end == FEWER_OVERLAP_SECONDS
    clock.now += FEWER_OVERLAP_SECONDS
    # Writing takes until the other overlap is over as well.
    for file in writer.files.values():
        monkeypatch.setattr(file, "_renew", lambda: setattr(clock, "now", 2000.0))
    writer.end_overlaps()
    assert counts.former == [2]
    assert writer.next_end == 0.0
    writer.end_overlaps()
    assert counts.former == []
    assert counts.next_end is None


def test_nothing_leaves_an_old_part_while_a_new_one_cannot_be_written(tmp_path: Path) -> None:
    with started(tmp_path, parts=1) as output:
        output.publish(publication(*GROUPS))
    (tmp_path / "2" / "kuma.json").mkdir(parents=True)
    with started(tmp_path, parts=3, parts_overlap=0.0) as output:
        with pytest.raises(OutputError):
            output.publish(publication(*GROUPS))
        # Not even when somebody accepts.
        assert output.accept() != []
        with pytest.raises(OutputError):
            output.publish(publication(*GROUPS))
        assert read_by(tmp_path, 1) == ALL
        (tmp_path / "2" / "kuma.json").rmdir()
        output.publish(publication(*GROUPS))
        eventually(lambda: read_by(tmp_path, 1) != ALL, "the overlap is over")
        assert read_by(tmp_path, 3) == ALL


@pytest.mark.parametrize("content", [b"", b"{}", b'{"parts": 0}', b'{"parts": 2, "former": {"999": null}}', b"\xff"])
def test_without_a_record_that_can_be_read_the_files_tell_how_many_parts_there_were(
    tmp_path: Path, content: bytes
) -> None:
    with started(tmp_path, parts=2) as output:
        output.publish(publication(*GROUPS))
    (record,) = (tmp_path / ".kuma-sd").glob("*.parts")
    record.write_bytes(content)
    with started(tmp_path, parts=5) as output:
        output.publish(publication(*GROUPS))
        assert read_by(tmp_path, 2) == read_by(tmp_path, 5) == ALL


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"path": Path("kuma.json"), "parts": 2}, r"parts needs a directory \{part\} in path"),
        ({"path": Path("kuma-{part}.json")}, r"each part needs a directory of its own"),
        ({"path": Path("{shard}/{part}/k.json"), "shards": 256, "parts": 256}, "more than 4096 files"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        FileSD(FileSDOptions(**options))


def test_more_parts_than_prometheus_can_watch_are_warned_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "max_user_instances"
    monkeypatch.setattr("kuma_sd_bundled.file_sd.advice.INSTANCES", limit)
    output = FileSD(FileSDOptions(path=tmp_path / "{part}" / "kuma.json", parts=64))
    assert list(output.warnings()) == []
    limit.write_text("128\n")
    assert list(output.warnings()) == []
    limit.write_text("64\n")
    (warning,) = output.warnings()
    assert "each of the 64 parts, and a user here may have 64" in warning


def test_what_a_single_large_file_costs_prometheus_is_said(tmp_path: Path) -> None:
    path = tmp_path / "kuma.json"
    with started(tmp_path, path=path) as output:
        output.publish(publication(*GROUPS))
        assert output.facts() == {}
        assert list(output.remarks()) == []
        output.publish(publication(*(f"b-{number}" for number in range(20_000))))
        assert "reads all 20,000 targets again, about 0.9 s" in output.facts()["cost"]
        assert list(output.remarks()) == [output.facts()["cost"]]


@pytest.mark.parametrize("text", re.findall(r"^ *```ini\n(.*?)^ *```", DOCS.read_text(), re.MULTILINE | re.DOTALL))
def test_the_settings_in_the_documentation_are_right(tmp_path: Path, text: str) -> None:
    settings = textwrap.dedent(text)
    core = "" if "[kuma-sd]" in settings else "[kuma-sd]\ncp-address = http://127.0.0.1:5681\n"
    (tmp_path / "kuma-sd.conf").write_text(core + settings)
    loaded = load(["-c", str(tmp_path / "kuma-sd.conf")], {}, Plugins())
    for output in loaded.outputs:
        assert output.plugin.open(output.options, Context(output.name))


class Moments(RuleBasedStateMachine):
    """At every moment, after each file that is written, whoever reads a number of parts that is good finds all targets.

    A number is good from the moment on at which everything was written by it, until the overlap after it is over.
    """

    parts: int
    writer: Writer
    counts: PartCounts

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.directory = Path(self.folder.name)
        self.now = 1000.0
        # Until when each number is good; forever for the present one, and until the next one is written.
        self.good: dict[int, float] = {}
        # What is surely published: it was in the last publication that was written, and in each one since.
        self.sure: frozenset[int] = frozenset()
        self.names: frozenset[int] = frozenset()
        self.groups = [group(f"b-{number:02}", address=str(number)) for number in range(30)]

    @initialize(parts=st.integers(1, 9))
    def begin(self, parts: int) -> None:
        self.open(parts)

    @rule(parts=st.integers(1, 9), broken=st.none() | st.integers(0, 8))
    def change_the_number(self, parts: int, broken: int | None) -> None:
        self.open(parts)
        self.publish(self.names, broken)

    @rule(names=st.frozensets(st.integers(0, 29)), broken=st.none() | st.integers(0, 8))
    def publish(self, names: frozenset[int], broken: int | None) -> None:
        self.names, self.sure = names, self.sure & names
        with self.unwritable(broken), contextlib.suppress(OutputError):
            self.writer.publish(publication(*(self.groups[name] for name in sorted(names))))
            self.written()
        self.check()

    @rule(seconds=st.sampled_from([1.0, FEWER_OVERLAP_SECONDS, 899.0, 900.0]), broken=st.none() | st.integers(0, 8))
    def wait(self, seconds: float, broken: int | None) -> None:
        self.now += seconds
        self.good = {parts: until for parts, until in self.good.items() if until > self.now}
        with self.unwritable(broken), contextlib.suppress(OutputError):
            self.writer.end_overlaps()
        self.check()

    @rule()
    def accept(self) -> None:
        for parts in self.counts.end_early():
            self.good.pop(parts, None)
        self.wait(0.0, None)

    def open(self, parts: int) -> None:
        """Begin anew on the same files, as a reload or restart does."""
        layout = Layout.of(FileSDOptions(path=self.directory / "{part}" / "kuma.json", parts=parts))
        self.parts, self.counts = parts, PartCounts(parts, 900.0, self.clock, self.clock)
        self.counts.load(layout.record, layout.existing_parts)
        self.writer = Writer(layout, self.counts, lambda: None, lambda _path: self.check())
        self.writer.prepare()
        if parts in self.good:
            self.good[parts] = math.inf
        self.check()

    def written(self) -> None:
        """Note that everything is written: the present number is good from now on, and others for a while."""
        self.sure = self.names
        for parts, until in list(self.good.items()):
            if parts > self.parts:
                # Whoever reads more parts reads these as well.
                del self.good[parts]
            elif until == math.inf:
                self.good[parts] = self.now + 900.0
        self.good[self.parts] = math.inf

    def check(self) -> None:
        for parts in self.good:
            found = {int(address) for address in read_by(self.directory, parts)}
            assert found >= self.sure, f"of {parts} parts"

    @contextlib.contextmanager
    def unwritable(self, part: int | None) -> Iterator[None]:
        """Let a part be as it is, and no other be written in its place."""
        staging = self.directory / str(part) / ".kuma-sd"
        if part is None or not staging.parent.exists():
            yield
            return
        shutil.rmtree(staging, ignore_errors=True)
        staging.touch()
        try:
            yield
        finally:
            staging.unlink()

    def clock(self) -> float:
        return self.now

    def teardown(self) -> None:
        self.folder.cleanup()


# Each of the 50 sequences writes and syncs up to 30 times.
TestMoments = pytest.mark.timeout(300)(Moments.TestCase)
TestMoments.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
