"""What the documentation says of Prometheus is so: which files take targets away, and which leave them."""

import os
from pathlib import Path

import pytest
from prometheus import Prometheus, needs_prometheus, prometheus, write_config
from waiting import eventually

pytestmark = [needs_prometheus, pytest.mark.timeout(180)]

TWO = '[{"targets": ["127.1.0.1:1", "127.1.0.2:1"], "labels": {"n": "1"}}]'


def put(file: Path, content: str) -> None:
    """Replace a file as a whole."""
    beside = file.with_suffix(".new")
    beside.write_text(content)
    os.replace(beside, file)  # noqa: PTH105 (what kuma-sd does, too)


def has(server: Prometheus, file: Path, count: int) -> None:
    eventually(lambda: len(server.discovered(file)) == count, f"Prometheus has {count} targets")


def test_a_deleted_or_empty_file_takes_targets_away_and_an_unreadable_one_keeps_them(tmp_path: Path) -> None:
    file = tmp_path / "targets" / "kuma.json"
    file.parent.mkdir()
    put(file, TWO)
    with prometheus(write_config(tmp_path, file)) as server:
        has(server, file, 2)
        for content in ('[{"tar', "", '[{"targets": ["127.1.0.3:1"], "labels": {"1st-team": "a"}}]'):
            failed = server.metric("prometheus_sd_file_read_errors_total")
            put(file, content)
            eventually(
                lambda failed=failed: server.metric("prometheus_sd_file_read_errors_total") > failed,  # type: ignore[misc] # (bound at once)
                "Prometheus has read it",
            )
            assert len(server.discovered(file)) == 2, content
        put(file, "[]")
        has(server, file, 0)
        put(file, TWO)
        has(server, file, 2)
        file.unlink()
        has(server, file, 0)
