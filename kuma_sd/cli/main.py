"""The command line of kuma-sd: one module per command, imported only when its command is given.

The contract of a command module ``kuma_sd/cli/NAME.py``:

- its docstring is the help text of the command: the first line says what it does, examples come last;
- ``TAKES_SETTINGS: bool``: whether it needs the settings. Then all of their flags, ``-c FILE`` included, are added to
  the command's own, and the settings are read, with logging set up as they say, before ``execute`` is called;
- ``add_arguments(parser: argparse.ArgumentParser) -> None`` adds the flags that belong to this command only;
- ``execute(arguments: argparse.Namespace, settings: Settings | None) -> int`` does the work and returns the exit
  status. ``settings`` is None for commands that do not take them. It may raise KumaSDError, which becomes one line on
  stderr: exit status 2 for ConfigError and PluginError, 1 for others. Unexpected exceptions keep their traceback.

The namespace holds the values of the command's own flags, and besides, for commands that take settings,
``arguments.reload``: a function without arguments that reads the settings again, from the same flags, environment and
file, and returns them or raises ConfigError or PluginError.

A command that does not take settings calls ``configure()`` of ``kuma_sd.system.log_format`` itself, if it logs.

Only this package prints or exits.
"""

import argparse
import importlib
import logging
import os
import select
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

from kuma_sd.core.errors import ConfigError, KumaSDError, PluginError
from kuma_sd.core.secret import redacted
from kuma_sd.core.text import did_you_mean
from kuma_sd.settings.cli_parser import Program, StrictParser
from kuma_sd.system.log_format import escape

if TYPE_CHECKING:
    from kuma_sd.core.options import OptionType
    from kuma_sd.plugin.manager import Plugins
    from kuma_sd.settings.loader import Settings

COMMANDS = {
    "run": "keep Prometheus pointed at the mesh, until stopped",
    "check": "check the settings without connecting to anything",
    "prometheus-config": "print the scrape jobs with which Prometheus reads what is published",
    "config": "show the settings in effect and where each is from, or a sample file",
    "diff": "show what new settings, or the next snapshot, would change in each output",
    "explain": "tell why a target is published as it is, or not at all",
    "status": "show how a running daemon is; a health check by its exit status",
    "accept": "let go of the vanished targets that a running daemon holds",
    "plugins": "list the installed plugins and their options",
    "relabel": "apply relabelling rules to label sets, to see what they do",
    "simulate": "be a control plane to try things on",
    "demo": "show the whole job, without owning a Kuma",
    "completion": "print what makes a shell complete commands and flags",
    "version": "print the version",
}

_log = logging.getLogger(__name__)


class Command(Protocol):
    """A command module, as the docstring of this package describes it."""

    TAKES_SETTINGS: bool

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's own flags."""

    def execute(self, arguments: argparse.Namespace, settings: "Settings | None") -> int:
        """Do the work and return the exit status."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``kuma-sd``.

    Args:
        arguments: the command line without the program's name; that of the process if None.

    Returns:
        The exit status: 0 if all went well, 2 for a mistake in settings or on the command line, 1 for other errors.
    """
    given = sys.argv[1:] if arguments is None else arguments
    return report("kuma-sd", lambda: dispatch(given, Program(), COMMANDS))


def main_like_go(arguments: Sequence[str] | None = None) -> int:
    """Run ``kuma-prometheus-sd``: the same program, with the ways of the Go program of that name."""
    from kuma_sd.cli.go_program import COMMANDS_LIKE_GO, PROGRAM, command_first  # noqa: PLC0415 (most never need it)

    given = command_first(sys.argv[1:] if arguments is None else arguments)
    return report(PROGRAM.name, lambda: dispatch(given, PROGRAM, COMMANDS_LIKE_GO))


def argument_type(type_: "OptionType") -> Callable[[str], Any]:
    """Return what a command gives as ``type=`` to argparse for a flag of its own, like ``argument_type(DURATION)``."""

    def parse(text: str) -> Any:  # noqa: ANN401 (whatever the type makes)
        try:
            return type_.parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} {error}") from error

    return parse


def report(name: str, work: Callable[[], int]) -> int:
    """Do work, and turn the errors that are expected into a line on stderr and an exit status."""
    try:
        status = _status_of(work)
        sys.stdout.flush()
    except KumaSDError as error:
        print(f"{name}: {escape(redacted(str(error)))}", file=sys.stderr)
        return 2 if isinstance(error, ConfigError | PluginError) else 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        if not _stdout_is_broken():
            raise
        # So that the interpreter does not try once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # As after help, where most versions of argparse pass over it; that of Python 3.11.2 does not.
        return 0
    return status


def dispatch(words: Sequence[str], program: Program, commands: dict[str, str]) -> int:
    """Run the command that the first word names.

    Args:
        words: the command line.
        program: the ways of this program; its name is that of all commands.
        commands: those there are, each with what it does.

    Raises:
        KumaSDError: whatever the command raises, or ConfigError when there is no such command.
    """
    command, *rest = words or ["--help"]
    if command == "help" and rest:
        command, rest = rest[0], ["--help"]
    if command in ("-h", "--help", "help"):
        _print_help(program.name, commands)
        return 0 if words else 2
    if command == "--version":
        command = "version"
    if command.startswith("-"):
        raise ConfigError(f"the command comes first, as in: {program.name} run {' '.join(words[:1])} …")
    if command not in commands:
        suggestion = did_you_mean(command, commands) or f"; there are {', '.join(commands)}"
        raise ConfigError(f"unknown command '{command}'{suggestion}")
    return _run(command_module(command), rest, program._replace(name=f"{program.name} {command}"))


def command_module(name: str) -> Command:
    """Import the module of a command."""
    return cast("Command", importlib.import_module(f"kuma_sd.cli.commands.{name.replace('-', '_')}"))


def _run(command: Command, words: Sequence[str], program: Program) -> int:
    program = program._replace(description=command.__doc__ or "", add_arguments=command.add_arguments)
    if not command.TAKES_SETTINGS:
        return command.execute(_parse(words, program), None)
    from kuma_sd.plugin.manager import Plugins  # noqa: PLC0415 (late, for commands that do without)

    plugins = Plugins()
    settings = _settings(words, plugins, program)
    settings.arguments.reload = lambda: _settings(words, plugins, program)
    return command.execute(settings.arguments, settings)


def _settings(words: Sequence[str], plugins: "Plugins", program: Program) -> "Settings":
    from kuma_sd.settings.loader import load  # noqa: PLC0415 (likewise)
    from kuma_sd.system.log_format import configure  # noqa: PLC0415 (likewise)

    try:
        loaded = load(words, os.environ, plugins, program)
    except KumaSDError:
        if {"-h", "--help"}.intersection(words):
            # Help is what somebody with wrong settings needs.
            load(["--help"], {}, plugins, program)
        raise
    configure(loaded.core.log_level, loaded.core.log_format)
    for warning in loaded.warnings:
        _log.warning("%s", warning)
    return loaded


def _parse(words: Sequence[str], program: Program) -> argparse.Namespace:
    parser = StrictParser(
        prog=program.name,
        description=program.description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    program.add_arguments(parser)
    arguments, rest = parser.parse_known_args(words)
    if rest:
        parser.refuse(rest)
    return arguments


def _print_help(name: str, commands: dict[str, str]) -> None:
    print(f"usage: {name} COMMAND [options]\n")
    print("Keeps Prometheus pointed at every dataplane of a Kuma service mesh.\n\ncommands:")
    for command, summary in commands.items():
        print(f"  {command:<19}{summary}")
    print(f"\nEach has a help of its own: {name} COMMAND --help")


def _status_of(work: Callable[[], int]) -> int:
    try:
        return work()
    except SystemExit as end:
        # argparse's --help ends this way.
        return int(end.code or 0)


def _stdout_is_broken() -> bool:
    """Tell a reader of our output that went, as `head` does, from a broken connection, which is an error of ours."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return bool(poll.poll(0))
