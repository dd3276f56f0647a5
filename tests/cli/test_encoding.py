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


HOSTILE = "a\x1b]0;title\x07b\x9b31mc\x7fd\u202ee\u2066f\u2028g\x85h"


def test_what_commands_a_terminal_is_escaped_and_json_has_equal_content(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text("- {action: labeldrop, regex: x}")
    command = [sys.executable, "-m", "kuma_sd", "relabel", "--file", str(tmp_path / "rules.yml")]
    line = json.dumps({"name": HOSTILE}).encode()
    out = subprocess.run(command, input=line, check=True, capture_output=True).stdout.decode()
    assert all(part.isprintable() for part in out.split("\n")), ascii(out)
    assert json.loads(out) == {"name": HOSTILE}


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_no_text_and_no_traceback_commands_a_terminal_whoever_prints_it(stream: str) -> None:
    code = f"""
import sys
from kuma_sd.cli.encoding import print_only_what_is_printable
print_only_what_is_printable()
print_only_what_is_printable()
if "{stream}" == "stderr":
    raise ValueError({HOSTILE!r})
print({HOSTILE!r}, "日本\\tß", "\\x1b[31mred\\x1b[0m")
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, env={"PYTHONUTF8": "1"})
    printed = getattr(done, stream).decode()
    shown = r"a\u001b]0;title\u0007b\u009b31mc\u007fd\u202ee\u2066f\u2028g\u0085h"
    assert shown in printed
    assert stream == "stderr" or printed == f"{shown} 日本\tß \x1b[31mred\x1b[0m\n"
