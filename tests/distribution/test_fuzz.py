"""What is fuzzed takes its seeds and what was found before; `script/bench fuzz` looks for more."""

import subprocess
import sys
from pathlib import Path

import pytest

FUZZED = Path(__file__).parents[2] / "bench/fuzz/fuzzed.py"


# The target redis needs the plugin.
@pytest.mark.parametrize("target", ["v1", "v1alpha1", "http", "state", "settings", "web"])
def test_what_is_at_hand_is_no_find(target: str) -> None:
    done = subprocess.run([sys.executable, FUZZED, target, "--replay"], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
