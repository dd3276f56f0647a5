"""What shells are told is what the commands take."""

import shutil
import subprocess
import sys

import pytest

from kuma_sd.cli.commands.completion import SHELLS, manual
from kuma_sd.cli.main import COMMANDS


def completion(shell: str) -> str:
    command = [sys.executable, "-m", "kuma_sd", "completion", shell]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def completed_by_bash(*words: str) -> set[str]:
    """Return what bash offers for the last of these words."""
    line = f"COMP_WORDS=({' '.join(map(repr, words))}); COMP_CWORD={len(words) - 1}; _shtab_kuma_sd"
    script = f"{completion('bash')}\n{line}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    return set(subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True).stdout.split())


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_is_completed(shell: str) -> None:
    text = completion(shell)
    assert "kuma-sd" in text
    assert [command for command in COMMANDS if command not in text] == []


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
def test_bash_offers_commands_flags_and_choices() -> None:
    assert completed_by_bash("kuma-sd", "che") == {"check"}
    assert completed_by_bash("kuma-sd", "check", "--file-sd-f") == {"--file-sd-format"}
    assert completed_by_bash("kuma-sd", "run", "--label-profile", "b") == {"both"}
    assert "/etc" in completed_by_bash("kuma-sd", "check", "-c", "/et")


def test_the_manual_describes_every_command_and_the_settings_once() -> None:
    (commands,) = (action for action in manual()._actions if action.nargs == "A...")
    parsers = dict(commands.choices or {}) if isinstance(commands.choices, dict) else {}
    assert list(parsers) == list(COMMANDS)
    settings = [name for name, parser in parsers.items() if "KUMA_SD_CP_ADDRESS" in parser.format_help()]
    assert settings == ["run"]
