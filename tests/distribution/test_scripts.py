"""The scripts for developers explain themselves."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# The others start a program that has a help of its own, or take no arguments.
SCRIPTS = ["build", "deb", "docs", "image", "lint", "lock", "matrix", "release", "test"]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", SCRIPTS)
def test_help_is_what_the_script_begins_with_and_nothing_is_done(name: str, tmp_path: Path) -> None:
    # Without any program, so that a script that begins to work fails.
    script, environment = ROOT / "script" / name, {"PATH": "/usr/bin:/bin", "PYTHON": "/nowhere"}
    for flag in ("--help", "-h"):
        done = subprocess.run([script, flag], cwd=tmp_path, capture_output=True, text=True, check=True, env=environment)
        assert done.stderr == ""
        assert done.stdout.startswith(script.read_text().splitlines()[1].removeprefix("# "))
        assert "set -eu" not in done.stdout
