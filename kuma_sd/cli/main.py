"""The command line of kuma-sd: one module per command, imported only when its command is given.

The contract of a command module ``kuma_sd/cli/NAME.py``:

- its docstring is the help text of the command: the first line says what it does, then come examples, then the rest;
- ``TAKES_SETTINGS: bool``: whether it needs the settings. Then all of their flags, ``-c FILE`` included, are added to
  the command's own, and the settings are read, with logging set up as they say, before ``execute`` is called;
- ``add_arguments(parser: argparse.ArgumentParser) -> None`` adds the flags that belong to this command only;
- ``execute(arguments: argparse.Namespace, settings: Settings | None) -> int`` does the work and returns the exit
  status. ``settings`` is None for commands that do not take them. It may raise KumaSDError, which becomes one line on
  stderr: exit status 2 for ConfigError and PluginError, 1 for others; so does a lack of files, memory or threads.
  Unexpected exceptions keep their traceback.

- ``SETTINGS_IN_HELP: tuple[str, ...]``, if it takes settings and is about few of them: which options of [kuma-sd] its
  ``--help`` shows; ``--help-all`` shows all settings;
- ``without_settings(arguments: argparse.Namespace, control_socket: Path | None, mistakes: ConfigError) -> int``, if it
  asks the daemon and can do so although the settings are wrong: called then in place of ``execute``;
- ``with_mistakes(wrong: WrongSettingsError) -> int``, if it looks at settings that are partly wrong: called in the same
  way, with what can be used of them.

The namespace holds the values of the command's own flags, and, for commands that take settings,
``arguments.reload``: a function without arguments that reads the settings again, from the same flags, environment and
file, and returns them or raises ConfigError or PluginError.

A command that does not take settings calls ``configure()`` of ``kuma_sd.system.log_format`` itself, if it logs.

Only this package prints or exits.
"""

import argparse
import importlib
import os
import select
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from kuma_sd.cli.encoding import print_only_what_is_printable
from kuma_sd.core.errors import ConfigError, KumaSDError, PluginError, ResourceError, UsageError
from kuma_sd.core.resource_limits import exhausted_resource
from kuma_sd.core.secret import redacted
from kuma_sd.core.text import did_you_mean
from kuma_sd.settings.cli_parser import Program, StrictParser
from kuma_sd.system.descriptors import is_writable, open_standard_descriptors

T = TypeVar("T")

if TYPE_CHECKING:
    from kuma_sd.core.options import OptionType
    from kuma_sd.plugin.manager import Plugins
    from kuma_sd.settings.model import Settings

COMMANDS = {
    "run": "follow the control planes and publish their targets",
    "check": "check the settings without connecting to anything",
    "config": "show the settings in effect and where each was set, or a sample file",
    "prometheus-config": "print the scrape jobs for Prometheus",
    "diff": "show what new settings would change in each output",
    "explain": "explain why a target is published as it is, or not at all",
    "status": "show the status of the running daemon; also a health check",
    "accept": "release the vanished targets that the guard holds",
    "plugins": "list the installed plugins and their options",
    "relabel": "apply relabelling rules to label sets, to see what they do",
    "simulate": "run a simulated control plane to try things on",
    "demo": "show the whole job, without a Kuma of your own",
    "completion": "print the script that completes commands and flags in a shell",
    "version": "print the version",
}

DEFAULT_FILE = "/etc/kuma-sd.conf"
"""Default settings file of commands that show settings, if it exists; Debian's service uses it."""


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
    """Run ``kuma-prometheus-sd``: the same program, compatible with the Go program of that name."""
    from kuma_sd.settings.go_program import COMMANDS_LIKE_GO, PROGRAM, command_first  # noqa: PLC0415 (imported late: rarely needed)

    given = command_first(sys.argv[1:] if arguments is None else arguments)
    return report(PROGRAM.name, lambda: dispatch(given, PROGRAM, COMMANDS_LIKE_GO))


def argument_type(type_: "OptionType[T]") -> Callable[[str], T]:
    """Return argparse's ``type=`` for an option type, like ``argument_type(DURATION)``."""

    def parse(text: str) -> T:
        try:
            return type_.parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} {error}") from error

    return parse


def report(name: str, work: Callable[[], int]) -> int:
    """Run a function; turn expected errors into a line on stderr and an exit status."""
    print_only_what_is_printable()
    try:
        _open_standard_streams()
        status = _status_of(work)
        sys.stdout.flush()
    except KumaSDError as error:
        if is_writable(sys.stderr):
            from kuma_sd.system.log_format import escape  # noqa: PLC0415 (late, since logging loads slowly)

            for line in error.mistakes if isinstance(error, ConfigError) else (str(error),):
                print(f"{name}: {escape(redacted(line))}", file=sys.stderr)
        return 2 if isinstance(error, ConfigError | PluginError) else 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        if not _stdout_is_broken():
            raise
        _give_stdout_up()
        # As after help, where most versions of argparse ignore this error; that of Python 3.11.2 does not.
        return 0
    except OSError as error:
        if not _stdout_fails():
            raise
        _give_stdout_up()
        print(f"{name}: standard output cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    return status


def dispatch(words: Sequence[str], program: Program, commands: dict[str, str]) -> int:
    """Run the command named by the first word.

    Args:
        words: the command line.
        program: the program; its name precedes all commands.
        commands: the commands with their summaries.

    Raises:
        KumaSDError: the command failed; ConfigError if there is no such command.
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
        raise UsageError(f"the command comes first, as in: {program.name} run {' '.join(words[:1])} …")
    if command not in commands:
        return _run_plugin(command, rest, program, commands)
    # `run` has no default file: the service names its file, and a manual run must not use the service's settings.
    default_file = DEFAULT_FILE if command != "run" else ""
    program = program._replace(name=f"{program.name} {command}", default_file=default_file)
    return _run(command_module(command), rest, program)


def _run_plugin(command: str, words: Sequence[str], program: Program, commands: Iterable[str]) -> int:
    """Run a command of a plugin.

    Raises:
        UsageError: there is none of that name.
        PluginError: it cannot be loaded.
    """
    from kuma_sd.plugin.manager import Plugins  # noqa: PLC0415 (imported late: our own commands do not need it)

    plugins = Plugins()
    known = [*commands, *_commands_of(plugins)]
    if command not in known:
        suggestion = did_you_mean(command, known) or f"; there are {', '.join(known)}"
        raise UsageError(f"unknown command '{command}'{suggestion}")
    plugin = plugins.command(command)
    name = f"{program.name} {command}"
    return plugin.run(_parse(words, Program(name, plugin.help, plugin.add_arguments)))


def _commands_of(plugins: "Plugins") -> dict[str, str]:
    """Return the commands of plugins, and where each comes from; without those whose name a command of ours has."""
    return {
        available.name: f"from {available.provider}"
        for available in plugins.available()
        if available.kind == "command" and available.name not in COMMANDS
    }


def command_module(name: str) -> Command:
    """Import the module of a command."""
    return cast("Command", importlib.import_module(f"kuma_sd.cli.commands.{name.replace('-', '_')}"))


def _run(command: Command, words: Sequence[str], program: Program) -> int:
    program = program._replace(description=command.__doc__ or "", add_arguments=command.add_arguments)
    if not command.TAKES_SETTINGS:
        return command.execute(_parse(words, program), None)
    from kuma_sd.plugin.manager import Plugins  # noqa: PLC0415 (imported late: not all commands need it)
    from kuma_sd.settings.daemon_finder import find_daemon  # noqa: PLC0415 (as above)
    from kuma_sd.settings.model import WrongSettingsError  # noqa: PLC0415 (as above)

    plugins = Plugins()
    program = program._replace(settings_in_help=getattr(command, "SETTINGS_IN_HELP", None))
    try:
        settings = _settings(words, plugins, program)
    except UsageError:
        raise
    except (ConfigError, PluginError) as error:
        if isinstance(error, WrongSettingsError) and hasattr(command, "with_mistakes"):
            return cast("int", command.with_mistakes(error))
        if not hasattr(command, "without_settings"):
            raise
        arguments, socket = find_daemon(words, os.environ, program)
        mistakes = error if isinstance(error, ConfigError) else ConfigError(str(error))
        return cast("int", command.without_settings(arguments, socket, mistakes))
    set_logging_up(settings)
    settings.arguments.reload = lambda: _settings(words, plugins, program)
    return command.execute(settings.arguments, settings)


def _settings(words: Sequence[str], plugins: "Plugins", program: Program) -> "Settings":
    from kuma_sd.settings.loader import load  # noqa: PLC0415 (as above)

    try:
        return load(words, os.environ, plugins, program)
    except KumaSDError:
        for flag in {"-h", "--help", "--help-all"}.intersection(words):
            # Help must work with invalid settings.
            load([flag], {}, plugins, program._replace(default_file=""))
        raise


def set_logging_up(settings: "Settings") -> None:
    """Log as settings say, and log their warnings."""
    from kuma_sd.core.logger import Logger  # noqa: PLC0415 (late, since logging loads slowly)
    from kuma_sd.system.log_format import configure  # noqa: PLC0415 (as above)

    configure(settings.core.log_level, settings.core.log_format)
    log = Logger(__name__)
    for warning in settings.warnings:
        log.warning(warning)


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
    print("Tells Prometheus which dataplanes of a Kuma service mesh to scrape.\n\ncommands:")
    from kuma_sd.plugin.manager import Plugins  # noqa: PLC0415 (as above)

    for command, summary in {**commands, **_commands_of(Plugins())}.items():
        print(f"  {command:<19}{summary}")
    print(f"\nHelp for a command: {name} COMMAND --help")


def _open_standard_streams() -> None:
    open_standard_descriptors()
    # Python sets closed standard streams to None.
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115 (open until the process ends)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def _status_of(work: Callable[[], int]) -> int:
    """Run a function and return the exit status.

    Raises:
        ResourceError: a resource is exhausted, in whichever thread ended the process.
    """
    try:
        return work()
    except SystemExit as end:
        # argparse's --help exits this way.
        return int(end.code or 0)
    except (OSError, MemoryError, RuntimeError, ImportError) as error:
        if exhausted := exhausted_resource(error):
            raise ResourceError(exhausted) from error
        raise


def _stdout_fails() -> bool:
    """Tell whether standard output cannot be written, for example because the disk is full."""
    try:
        # What could not be written is still in the buffer, if there is one (PYTHONUNBUFFERED).
        sys.stdout.flush()
        os.write(sys.stdout.fileno(), b"\n")
    except OSError:
        return True
    return False


def _give_stdout_up() -> None:
    """Prevent another attempt to flush when the interpreter exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _stdout_is_broken() -> bool:
    """Tell whether the reader of standard output closed it, as `head` does; other broken connections are errors."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return bool(poll.poll(0))
