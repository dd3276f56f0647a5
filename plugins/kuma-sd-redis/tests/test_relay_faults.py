"""A short form of what ``script/bench relay --rounds=100`` does to real processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.timeout(180)
def test_no_edge_loses_a_target_whatever_is_killed_and_all_are_right_again() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "bench/relay", "--rounds=6", "--lease=2s", "--stop=4"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests/support")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
