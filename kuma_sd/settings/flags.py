"""Build the command line parser: a flag for every declared option, in groups, with help."""

import argparse
from collections.abc import Iterable
from typing import Any

import configargparse

from kuma_sd.core.errors import ConfigError
from kuma_sd.core.option_types import BOOL
from kuma_sd.core.options import REQUIRED
from kuma_sd.settings import go_program
from kuma_sd.settings.cli_parser import Program, Strict
from kuma_sd.settings.config_file import ConfigFile
from kuma_sd.settings.schema import CORE, Declaration, Schema

CONFIG_VARIABLE = "KUMA_SD_CONFIG"

_EPILOG = """\
Set an option as a flag (--payments-path), a variable (KUMA_SD_PAYMENTS_PATH) or in the file ('path' under [payments];
without an instance's name under [kuma-sd]). Flags override variables, variables override the file; lists are not
merged either. Separate the items of a list with spaces, or repeat the flag; an empty value empties the list. For an
option that is no list, an empty variable counts as not set."""

_SHORT_EPILOG = "All settings can be given here as flags, too: {} --help-all"


class Parser(Strict, configargparse.ArgumentParser):  # type: ignore[misc] # (ConfigArgParse has no types)
    """ConfigArgParse's parser, made strict."""


def config_finder() -> Parser:
    """Return a parser for ``-c FILE`` only."""
    finder = Parser(add_help=False, allow_abbrev=False)
    _add_config(finder)
    return finder


def settings_parser(program: Program, schema: Schema, file: ConfigFile | None, *, own: bool) -> Parser:
    """Return a parser of declared options. Each value is a list of pairs: the flag, and the text as given.

    Args:
        program: the command.
        schema: the options.
        file: the settings file.
        own: whether to add the command's own flags and ``--help``.

    Raises:
        ConfigError: a flag is declared twice.
    """
    parser = Parser(
        prog=program.name,
        description=program.description,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="%(prog)s [options]",
        add_help=False,
        allow_abbrev=False,
        add_config_file_help=False,
        add_env_var_help=False,
        config_file_parser_class=_FileValues(file, schema),
    )
    _add_config(parser)
    try:
        if own:
            _add_own(parser, program)
        _add_options(parser, program, schema)
    except argparse.ArgumentError as error:
        flag = error.argument_name
        raise ConfigError(
            f"the flag {flag} would be there twice; give the instance that has it another name"
        ) from error
    return parser


def destination(declaration: Declaration) -> str:
    """Return the name of an option in the parser's namespace."""
    return f"{declaration.section}.{declaration.option.name}"


class _FileValues(configargparse.ConfigFileParser):  # type: ignore[misc] # (ConfigArgParse has no types)
    """Passes the content read by `config_file` to ConfigArgParse, whose own parsers ignore sections."""

    def __init__(self, file: ConfigFile | None, schema: Schema) -> None:
        super().__init__()
        entries = {(entry.section, entry.key): entry.value for entry in file.entries} if file else {}
        self._values = {
            declaration.flag[2:]: entries[declaration.place] for declaration in schema if declaration.place in entries
        }

    def parse(self, _stream: Iterable[str]) -> dict[str, str]:
        """Return the values by flag name, without dashes."""
        return self._values


class _Help(argparse.Action):
    """Prints help with the settings that concern the command, and exits."""

    def __call__(self, parser: argparse.ArgumentParser, *_given: object) -> None:
        """Print the help; ``const`` is the command."""
        program: Program = self.const
        shown = program.settings_in_help
        if shown is not None:
            names = {f"{CORE}.{name}" for name in shown}
            for action in parser._actions:  # noqa: SLF001 (argparse has no public API to omit some)
                if isinstance(action, _Collect) and action.dest not in names:
                    action.help = argparse.SUPPRESS
            for group in parser._action_groups:  # noqa: SLF001 (as above)
                group.description = None
            parser.epilog = _SHORT_EPILOG.format(program.name)
        parser.print_help()
        parser.exit()


class _Collect(argparse.Action):
    """Appends each flag with its value. ConfigArgParse would split values for argparse's own append action."""

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,  # noqa: ANN401 (argparse's signature)
        option_string: str | None = None,
    ) -> None:
        given = getattr(namespace, self.dest) or []
        # Before Python 3.13 argparse removes the value "--".
        setattr(namespace, self.dest, [*given, (option_string, "--" if values == [] else values)])


def _add_config(parser: Parser) -> None:
    without = "without it, all commands but 'run' read /etc/kuma-sd.conf if that exists"
    parser.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        env_var=CONFIG_VARIABLE,
        help=f"the settings file ({CONFIG_VARIABLE}; {without})",
    )


def _add_own(parser: Parser, program: Program) -> None:
    """Add the command's own flags, and the help flags."""
    parser.add_argument("-h", "--help", action=_Help, nargs=0, const=program, help="show this help and exit")
    if program.settings_in_help is not None:
        everything = program._replace(settings_in_help=None)
        parser.add_argument(
            "--help-all", action=_Help, nargs=0, const=everything, help="show this help with all settings and exit"
        )
    program.add_arguments(parser)
    positional = [action for action in parser._actions if not action.option_strings]  # noqa: SLF001 (argparse has no public API for this)
    names = [f"[{action.metavar}]" if action.nargs == "?" else str(action.metavar) for action in positional]
    parser.usage = " ".join(["%(prog)s [options]", *names])


def _add_options(parser: Parser, program: Program, schema: Schema) -> None:
    for flag in program.ignored_flags:
        parser.add_argument(flag, help=argparse.SUPPRESS)
    for group in schema.groups:
        secrets = [declaration for declaration in group.schema if declaration.option.type.secret]
        shown = parser.add_argument_group(group.title, "\n".join(map(_describe_secret, secrets)) or None)
        for declaration in group.schema:
            # A boolean flag needs no value.
            alone: dict[str, Any] = {"nargs": "?", "const": "true"} if declaration.option.type is BOOL else {}
            alias = [go_program.FLAGS[declaration.place]] if declaration.place in go_program.FLAGS else []
            shown.add_argument(
                *alias,
                declaration.flag,
                dest=destination(declaration),
                action=_Collect,
                env_var=declaration.variable,
                **alone,
                metavar=declaration.option.type.name.upper()
                if not declaration.option.type.choices
                else declaration.option.type.name,
                help=argparse.SUPPRESS
                if declaration.option.type.secret
                else _describe(declaration, program).replace("%", "%%"),
            )


def _describe(one: Declaration, program: Program) -> str:
    if one.inherited:
        return f"--{one.option.name} for this one alone ({one.variable})"
    default = program.defaults.get(one.place, one.option.show(one.option.default))
    if not default and (one.option.default is None or one.option.default is REQUIRED):
        # Its help says what holds if it is not set.
        return f"{one.option.help} ({one.variable})"
    return f"{one.option.help} (default: {default or 'none'}; {one.variable})"


def _describe_secret(one: Declaration) -> str:
    return f"'{one.option.name}' in the file or {one.variable}, never a flag: {one.option.help}"
