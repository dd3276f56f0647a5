"""A terminal whose encoding lacks a character gets an escape, and JSON that is still JSON."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

NAME = "küma-日本"


def printed(*words: str, encoding: str) -> str:
    command = [sys.executable, "-m", "kuma_sd", *words]
    environment = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    return subprocess.run(command, env=environment, check=True, capture_output=True).stdout.decode(encoding)


@pytest.mark.parametrize(
    ("encoding", "shown"), [("ascii", r"k\u00fcma-\u65e5\u672c"), ("iso-8859-1", r"küma-\u65e5\u672c"), ("utf-8", NAME)]
)
def test_what_the_encoding_lacks_is_escaped(encoding: str, shown: str) -> None:
    assert f"name = {shown}\n" in printed("config", f"--name={NAME}", encoding=encoding)


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1", "utf-8"])
def test_json_stays_json(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text("- {action: labeldrop, regex: x}")
    command = [sys.executable, "-m", "kuma_sd", "relabel", "--file", str(tmp_path / "rules.yml")]
    line = json.dumps({"name": NAME}).encode()
    environment = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    out = subprocess.run(command, input=line, env=environment, check=True, capture_output=True).stdout
    assert json.loads(out.decode(encoding)) == {"name": NAME}
