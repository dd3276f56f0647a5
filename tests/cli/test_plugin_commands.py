"""Commands that plugins add to kuma-sd."""

import argparse
import sys

import pytest

from kuma_sd import CommandPlugin, ConfigError, PluginError, hookimpl
from kuma_sd.cli.main import main
from kuma_sd.plugin import manager
from kuma_sd.plugin.catalogue import Direct, EntryPoint

original_plugins = manager.Plugins


class Greets:
    @hookimpl
    def kuma_sd_command_plugin(self) -> CommandPlugin:
        return CommandPlugin(greet, "Greet somebody.", add_arguments)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name")


def greet(arguments: argparse.Namespace) -> int:
    if arguments.name == "nobody":
        raise ConfigError("give a name")
    sys.stdout.write(f"hello {arguments.name}\n")
    return 3


class Trap:
    name = "command.trap"
    dist = None

    def load(self) -> object:
        raise AssertionError("nobody asked for it")


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    original = manager.Plugins
    entries: list[EntryPoint] = [Direct("command.greet", Greets()), Trap(), Direct("command.run", Greets())]
    monkeypatch.setattr(manager, "Plugins", lambda: original(entries))


def test_a_command_of_a_plugin_gets_its_flags_and_returns_the_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["greet", "you"]) == 3
    assert capsys.readouterr().out == "hello you\n"


def test_it_has_help_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "greet"]) == 0
    assert "Greet somebody." in capsys.readouterr().out
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert "  greet              from no distribution\n" in out
    assert "  run                follow the control planes and publish their targets\n" in out
    assert out.index("\n  version ") < out.index("\n  greet ")


def test_a_command_whose_name_is_taken_is_listed_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if line.split()[:2] == ["command", "run"]]
    assert line.endswith("kuma-sd has a command of this name itself; give it another name")


def test_a_command_where_nobody_can_give_it_is_refused_with_how_to_register_it() -> None:
    with pytest.raises(
        PluginError, match=r"is never called; register it in a distribution, as the entry point command\."
    ):
        original_plugins([Direct("greet", Greets())]).hooks("greet")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["greet", "nobody"], "kuma-sd: give a name\n"),
        (["greet", "you", "--louder"], "kuma-sd: unknown flag --louder\n"),
        (["gret"], "kuma-sd: unknown command 'gret'; did you mean 'greet'?\n"),
    ],
)
def test_its_expected_errors_are_one_line(capsys: pytest.CaptureFixture[str], words: list[str], line: str) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err == line


def test_a_command_that_cannot_be_loaded_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trap"]) == 2
    reason = "AssertionError: nobody asked for it (test_plugin_commands.py, line "
    line = f"kuma-sd: command 'trap' of no distribution cannot be loaded: {reason}"
    assert capsys.readouterr().err.startswith(line)
