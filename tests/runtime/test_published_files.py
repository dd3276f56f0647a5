"""What is remembered from the published files, where no state was saved."""

import json
from pathlib import Path

import pytest
from processes import eventually
from settings_kit import settings_of

from kuma_sd.plugin.manager import Plugins
from kuma_sd.runtime.daemon import Daemon


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
