"""What is remembered from the published files, where no state was saved."""

import json
from pathlib import Path

import pytest
from settings_kit import settings_of
from waiting import eventually

from kuma_sd import Output, Publication
from kuma_sd.core.model import Assignment, LastGoodTargets
from kuma_sd.pipeline.ordinals import with_stable_ordinals
from kuma_sd.plugin.manager import Plugins
from kuma_sd.runtime.daemon import Daemon
from kuma_sd.runtime.published_files import completed, published_groups
from kuma_sd.state.restorer import Restored
from kuma_sd.testing import assignment


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
    (last_good,) = completed(Restored((), ()), published_groups([Files(*paths)])).last_good
    return list(last_good.assignments)


def test_namesakes_that_are_known_from_a_file_alone_are_recognised_by_their_addresses(tmp_path: Path) -> None:
    known = remembered(written(tmp_path / "targets.json", "a:1", "b:1", "c:1"))
    answer = [assignment("db", index=index, address=address) for index, address in enumerate(["c:1", "b:1"])]
    stable = with_stable_ordinals(answer, known, ())
    assert {entry.read().address: entry.key.ordinal for entry in stable} == {"b:1": 1, "c:1": 2}


def test_a_name_in_a_file_means_whom_it_was_published_as_and_not_who_has_the_name_now(tmp_path: Path) -> None:
    # Two swapped their names while nothing ran, and it crashed before it had published under the new ones.
    saved = [assignment("db", mesh="default", address="a:1", control_plane="east")]
    swapped = LastGoodTargets("east", frozenset({"a:1"}), saved, 0.0, published_as="")
    restored = completed(Restored((swapped,), ()), published_groups([Files(written(tmp_path / "targets.json", "a:1"))]))
    assert restored.last_good == (swapped,)


def test_a_target_that_is_in_two_parts_for_a_while_is_one_target(tmp_path: Path) -> None:
    assert len(remembered(written(tmp_path / "0.json", "a:1"), written(tmp_path / "1.json", "a:1"))) == 1


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
