"""Ctrl-C at any moment ends the program without a traceback."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

# In a shell's background, where tests may run, SIGINT is ignored, which a child inherits.
_START = """\
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, "-m", "kuma_sd", "check"])
"""


@pytest.mark.timeout(60)
@pytest.mark.parametrize("module", ["argparse", "configargparse"])
def test_while_modules_are_loaded(tmp_path: Path, module: str) -> None:
    # In place of a module that the command line needs: one that loads for ever.
    (tmp_path / f"{module}.py").write_text("import signal\nprint('loading', flush=True)\nsignal.pause()\n")
    process = subprocess.Popen(
        [sys.executable, "-c", _START],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(tmp_path)},
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "loading\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30) == ("", "")
    finally:
        process.kill()
        process.wait()
    # A shell shows it as 130.
    assert process.returncode == -signal.SIGINT
