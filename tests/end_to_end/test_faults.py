"""The fault catalogue in its short form; ``script/faults`` runs the long one."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus import needs_prometheus

ROOT = Path(__file__).parents[2]

# The longest first, since they run beside each other.
FAULTS = ["disturbed", "killed", "full", "fought", "dead", "meddled", "frozen", "read_only", "removed", "in_the_way"]
WATCHED = {"disturbed", "full"}


def faults(*arguments: str) -> tuple[int, str]:
    # What others do on the machine shall fail no test; script/faults allows one second.
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests/support"), "FAULTS_SLACK": "5"}
    done = subprocess.run(
        [sys.executable, ROOT / "bench/faults", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "fault", [pytest.param(fault, marks=needs_prometheus if fault in WATCHED else ()) for fault in FAULTS]
)
def test_no_target_is_lost_and_all_is_right_again(fault: str) -> None:
    status, output = faults("--short", "--only", fault)
    assert status == 0, output


def test_all_faults_are_tried() -> None:
    _, output = faults("--help")
    choices = re.search(r"--only {(.*?)}", output)
    assert choices
    assert sorted(choices[1].split(",")) == sorted(FAULTS)
