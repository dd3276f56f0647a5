import json
from pathlib import Path

from kuma_sd.testing import control_plane, daemon


def test_the_daemon_runs_with_both(tmp_path: Path) -> None:
    targets, summary = tmp_path / "targets.json", tmp_path / "summary.txt"
    flags = [
        *("--transform=site", "--site-name=east"),
        *("--output=file_sd", f"--file-sd-path={targets}", "--output=summary", f"--summary-path={summary}"),
    ]
    with control_plane("backend-01", "backend-02") as kuma, daemon(tmp_path, f"--cp-address={kuma.url}", *flags) as run:
        run.wait_for("published", output="file_sd")
        run.wait_for("published", output="summary")
    assert summary.read_text().startswith("targets\tmesh\tservice\n2\t")
    assert [group["labels"]["site"] for group in json.loads(targets.read_bytes())] == ["east", "east"]
