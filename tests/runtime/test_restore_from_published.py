"""What is remembered from the published files, where no state was saved."""

import json
import os
from pathlib import Path

import pytest
from settings_kit import settings_of
from waiting import eventually

from kuma_sd import Output, Publication
from kuma_sd.core.model import Assignment, LastGoodTargets
from kuma_sd.pipeline.control_plane import ControlPlaneConfig
from kuma_sd.pipeline.ordinals import with_stable_ordinals
from kuma_sd.plugin.manager import Plugins
from kuma_sd.runtime.daemon import Daemon
from kuma_sd.runtime.restore_from_published import completed, published_at, published_groups, unless_published_since
from kuma_sd.state.restorer import Restored
from kuma_sd.testing import assignment

LATER = 2.0**32
"""A moment after the last change of every file here."""


class Files(Output):
    """An output whose files were written before."""

    def __init__(self, *paths: Path) -> None:
        self.paths = paths

    def start(self) -> None:
        """Do nothing."""

    def publish(self, publication: Publication) -> None:
        """Do nothing."""

    def files(self, _publication: Publication) -> dict[Path, list[bytes]]:
        return {path: [] for path in self.paths}

    def close(self) -> None:
        """Do nothing."""


def written(path: Path, *addresses: str) -> Path:
    labels = {"mesh": "default", "dataplane": "db", "__scheme__": "http", "__metrics_path__": "/metrics"}
    path.write_text(json.dumps([{"targets": [address], "labels": labels} for address in addresses]))
    return path


def remembered(*paths: Path) -> list[Assignment]:
    (last_good,) = after_restart(Restored(), [ControlPlaneConfig()], *paths).last_good
    return list(last_good.assignments)


def after_restart(restored: Restored, configs: list[ControlPlaneConfig], *paths: Path) -> Restored:
    outputs = [Files(*paths)]
    restored = unless_published_since(restored, published_at(outputs))
    return completed(restored, configs, lambda: published_groups(outputs))


def configured(*names: str, is_saved: bool = True) -> list[ControlPlaneConfig]:
    return [ControlPlaneConfig(name, endpoints=frozenset({f"{name}:1"}), is_saved=is_saved) for name in names]


def saved(name: str, *dataplanes: str) -> LastGoodTargets:
    assignments = [assignment(dataplane, mesh="default", control_plane=name) for dataplane in dataplanes]
    return LastGoodTargets(name, frozenset({f"{name}:1"}), assignments, 1.0, name)


def published_by(path: Path, **dataplanes: str) -> Path:
    """Write a file with some dataplanes of each control plane, separated by blanks."""
    groups = [
        {"targets": ["192.0.2.1:80"], "labels": {"control_plane": name, "mesh": "default", "dataplane": dataplane}}
        for name, several in dataplanes.items()
        for dataplane in several.split()
    ]
    path.write_text(json.dumps(groups))
    return path


def names_of(restored: Restored) -> dict[str, list[str]]:
    return {entry.name: [target.key.name for target in entry.assignments] for entry in restored.last_good}


def test_namesakes_that_are_known_from_a_file_alone_are_recognised_by_their_addresses(tmp_path: Path) -> None:
    known = remembered(written(tmp_path / "targets.json", "a:1", "b:1", "c:1"))
    answer = [assignment("db", index=index, address=address) for index, address in enumerate(["c:1", "b:1"])]
    stable = with_stable_ordinals(answer, known, ())
    assert {entry.read().address: entry.key.ordinal for entry in stable} == {"b:1": 1, "c:1": 2}


def test_namesakes_have_the_same_ordinals_in_whichever_parts_they_are_found(tmp_path: Path) -> None:
    # A part is chosen by the ordinal; otherwise they would change places at each restart.
    one, two = written(tmp_path / "1.json", "a:1", "c:1"), written(tmp_path / "2.json", "b:1")
    before = remembered(one, two)
    assert remembered(two, one) == before
    written(one, "b:1")
    written(two, "c:1", "a:1")
    assert remembered(one, two) == before


def test_a_name_in_a_file_means_whom_it_was_published_as_and_not_who_has_the_name_now(tmp_path: Path) -> None:
    # Two swapped their names while nothing ran, and it crashed before it had published under the new ones.
    assignments = [assignment("db", mesh="default", address="a:1", control_plane="east")]
    swapped = LastGoodTargets("east", frozenset({"a:1"}), assignments, 0.0, published_as="")
    restored = after_restart(Restored((swapped,)), configured("east"), written(tmp_path / "targets.json", "a:1"))
    assert restored.last_good == (swapped,)


def test_a_target_that_is_in_two_parts_for_a_while_is_one_target(tmp_path: Path) -> None:
    assert len(remembered(written(tmp_path / "0.json", "a:1"), written(tmp_path / "1.json", "a:1"))) == 1


def test_one_without_a_saved_snapshot_is_known_from_the_file_whatever_else_was_saved(tmp_path: Path) -> None:
    path = published_by(tmp_path / "targets.json", east="a", west="a b")
    restored = after_restart(Restored((saved("east", "a"),), stopped=LATER), configured("east", "west"), path)
    assert names_of(restored) == {"east": ["a"], "west": ["a", "b"]}


def test_what_was_let_go_or_removed_is_not_read_from_the_file_when_another_one_is(tmp_path: Path) -> None:
    path = published_by(tmp_path / "targets.json", east="a", west="b", north="c d", gone="e")
    state = Restored((saved("east"), saved("north", "c")), (saved("gone", "e"),), stopped=LATER)
    restored = after_restart(state, configured("east", "north", "west"), path)
    assert names_of(restored) == {"east": [], "north": ["c"], "west": ["b"]}


def test_of_one_whose_source_has_no_codec_the_file_is_the_memory_and_no_old_snapshot(tmp_path: Path) -> None:
    path = published_by(tmp_path / "targets.json", east="a b")
    state = Restored((saved("east", "long-gone"),), stopped=LATER)
    assert names_of(after_restart(state, configured("east", is_saved=False), path)) == {"east": ["a", "b"]}


def test_one_that_was_renamed_and_whose_snapshot_is_lost_is_known_under_its_old_name(tmp_path: Path) -> None:
    path = published_by(tmp_path / "targets.json", east="a", west="b")
    restored = after_restart(Restored((saved("east", "a"),), stopped=LATER), configured("east", "new"), path)
    assert names_of(restored) == {"east": ["a"], "west": ["b"]}


def test_what_a_renamed_one_published_in_the_second_before_a_crash_is_its_own(tmp_path: Path) -> None:
    old = saved("west", "a")
    new = ControlPlaneConfig("east", endpoints=frozenset({"west:1"}))
    file = published_by(tmp_path / "file.json", east="a b")
    restored = after_restart(Restored((old,)), [new], file)
    assert names_of(restored) == {"west": ["a", "b"]}


def test_a_control_plane_label_that_a_transform_made_gives_a_new_control_plane_no_targets(tmp_path: Path) -> None:
    path = published_by(tmp_path / "targets.json", made="a")
    restored = after_restart(Restored((saved("east", "a"),), stopped=LATER), configured("east", "new"), path)
    assert names_of(restored) == {"east": ["a"]}


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files to others needs root")
@pytest.mark.parametrize("mode", [0o755, 0o777, 0o1777])
def test_a_file_of_another_user_counts_as_missing_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int
) -> None:
    path = published_by(tmp_path / "targets.json", east="a b")
    tmp_path.chmod(mode)
    assert names_of(after_restart(Restored(), configured("east"), path)) == {"east": ["a", "b"]}
    os.chown(path, 65534, 65534)
    assert names_of(after_restart(Restored(), configured("east"), path)) == {}
    assert caplog.text.count("a published file is not believed, it counts as missing") == 1
    assert f"'{path}' belongs to another user (uid 65534)" in caplog.text


@pytest.mark.parametrize(("seconds", "names"), [(0.9, ["a", "gone"]), (1.1, ["a", "gone", "new"])])
def test_a_file_that_was_written_after_the_state_was_left_completes_it(
    tmp_path: Path, seconds: float, names: list[str]
) -> None:
    older, newer = published_by(tmp_path / "older.json", east="a"), published_by(tmp_path / "newer.json", east="new")
    os.utime(older, (900.0, 900.0))
    os.utime(newer, (1000.0 + seconds, 1000.0 + seconds))
    state = Restored((saved("east", "a", "gone"),), stopped=1000.0)
    assert names_of(after_restart(state, configured("east"), older, newer)) == {"east": names}


def test_files_are_not_read_at_the_start_when_everything_was_saved_exactly() -> None:
    state = Restored((saved("east", "a"),), stopped=LATER)
    assert completed(state, configured("east"), lambda: pytest.fail("the files are read")) is state


def test_a_file_that_somebody_empties_during_the_start_takes_no_target_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "targets.json"
    names = ["a", "b"]
    groups = [{"targets": ["192.0.2.1:80"], "labels": {"mesh": "default", "dataplane": name}} for name in names]
    path.write_text(json.dumps(groups))
    # Nobody listens at this port.
    flags = ("--cp-address=grpc://127.0.0.1:1", f"--output-file={path}", f"--state-dir={tmp_path}/state")
    daemon = Daemon(settings_of(*flags, plugins=Plugins()))
    begin = daemon.pipeline.begin

    def begin_with_an_empty_file(*arguments: object) -> None:
        path.write_text("[]\n")
        begin(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(daemon.pipeline, "begin", begin_with_an_empty_file)
    daemon.start()
    try:
        eventually(lambda: daemon.outputs["file_sd"].status.published, "the first publication")
        assert [group["labels"]["dataplane"] for group in json.loads(path.read_bytes())] == names
    finally:
        daemon.stop()
