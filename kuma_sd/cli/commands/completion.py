"""Print the script with which a shell completes kuma-sd's commands and flags.

Examples:
  kuma-sd completion bash > ~/.local/share/bash-completion/completions/kuma-sd
  kuma-sd completion zsh > ~/.zfunc/_kuma-sd    # a directory of $fpath
  kuma-sd completion fish > ~/.config/fish/completions/kuma-sd.fish

The Debian package installs it for all three shells.
"""

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from kuma_sd.cli.main import COMMANDS, command_module
from kuma_sd.settings.cli_parser import Program

if TYPE_CHECKING:
    from kuma_sd.settings.model import Settings

TAKES_SETTINGS = False

SHELLS = ("bash", "zsh", "fish")

# Metavars of arguments that name a file or a folder.
_PATHS = {"FILE", "FILE CONTENT", "FOLDER", "PATH"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own flags."""
    parser.add_argument("shell", choices=SHELLS, help="the shell to complete in")


def execute(arguments: argparse.Namespace, settings: "Settings | None") -> int:  # noqa: ARG001 (the contract of commands)
    """Print the completion script."""
    import shtab  # noqa: PLC0415 (no other command needs it)

    parser, commands = _whole(settings_everywhere=True)
    for command in [parser, *commands]:
        for action in command._actions:  # noqa: SLF001 (argparse has no public API to list them)
            _tell(action, shtab.FILE)
    print(shtab.complete(parser, arguments.shell), end="")
    return 0


def manual() -> argparse.ArgumentParser:
    """Return a parser of all commands for the man page; only ``run`` has the settings' flags."""
    return _whole(settings_everywhere=False)[0]


def _whole(*, settings_everywhere: bool) -> tuple[argparse.ArgumentParser, list[argparse.ArgumentParser]]:
    parser = argparse.ArgumentParser("kuma-sd", description="Keeps Prometheus pointed at a Kuma service mesh.")
    choice = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    commands = []
    for name, summary in COMMANDS.items():
        one = _parser_of(name, settings_everywhere=settings_everywhere)
        shown = choice.add_parser(
            name,
            parents=[one],
            add_help=False,
            help=summary,
            description=one.description,
            epilog=one.epilog,
            usage=one.usage,
            formatter_class=one.formatter_class,
        )
        commands.append(shown)
    return parser, commands


def _parser_of(name: str, *, settings_everywhere: bool) -> argparse.ArgumentParser:
    # Imported late: this command's help does not need them.
    from kuma_sd.plugin.manager import Plugins  # noqa: PLC0415
    from kuma_sd.settings.loader import parser_of  # noqa: PLC0415

    command = command_module(name)
    description = command.__doc__ or ""
    program = Program(f"kuma-sd {name}", description, command.add_arguments)
    if command.TAKES_SETTINGS and (settings_everywhere or name == "run"):
        return parser_of(program, Plugins())
    if command.TAKES_SETTINGS:
        description += "\nTakes the flags of all settings as well, -c FILE included: see run.\n"
    parser = argparse.ArgumentParser(
        program.name, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.add_arguments(parser)
    return parser


def _tell(action: argparse.Action, files: Any) -> None:  # noqa: ANN401 (whatever shtab takes)
    """Set an argument's values for shtab; choices of settings are plain text to argparse, joined in the metavar."""
    metavar = action.metavar
    if metavar in _PATHS:
        action.complete = files  # type: ignore[attr-defined] # (where shtab looks for it)
    elif isinstance(metavar, str) and "|" in metavar and metavar.islower():
        action.choices = cast("Iterable[str]", metavar.split("|"))
