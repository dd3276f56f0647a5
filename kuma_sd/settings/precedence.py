"""Read flags, environment variables and the file with ConfigArgParse, which decides their precedence.

All options are plain text to ConfigArgParse, because it would otherwise split values that look like lists, and print
secrets.
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from kuma_sd.core.errors import ConfigError
from kuma_sd.settings import go_program
from kuma_sd.settings.cli_parser import Program
from kuma_sd.settings.config_file import ConfigFile, read_config_file
from kuma_sd.settings.flags import CONFIG_VARIABLE, Parser, config_finder, destination, settings_parser
from kuma_sd.settings.instances import Text
from kuma_sd.settings.schema import Declaration, Place, Schema
from kuma_sd.settings.unknown_options import unknown_variables

Texts = dict[Place, Text]
"""The texts that are set, by place; options that are not set are missing."""


class Precedence:
    """The sources of settings.

    Args:
        arguments: the command line after the command.
        environment: the environment variables.
        program: the command.
        lenient: whether to ignore a file that cannot be read.

    Raises:
        ConfigError: the file cannot be read.
    """

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], program: Program, *, lenient: bool = False
    ) -> None:
        self._arguments = list(arguments)
        self._environment = dict(environment)
        self._aliased: dict[str, str] = {}
        for theirs, ours in go_program.VARIABLES.items():
            if environment.get(theirs) and not self._environment.get(ours):
                self._environment[ours], self._aliased[ours] = environment[theirs], theirs
        self._program = program
        found, _ = config_finder().parse_known_args(self._arguments, env_vars=self._environment)
        # Read once, and not by ConfigArgParse: the file may be a pipe.
        self.path: str = found.config or (program.default_file if Path(program.default_file).exists() else "")
        self.file: ConfigFile | None = None
        try:
            self.file = read_config_file(self.path) if self.path else None
        except ConfigError:
            if not lenient:
                raise

    def in_file_only(self) -> "Precedence":
        """Return a copy with the file only, without flags and variables."""
        alone = Precedence([], {}, Program())
        alone.file = self.file
        return alone

    def check_syntax(self) -> None:
        """Raise an error if the file has invalid lines.

        Raises:
            ConfigError: the file has invalid lines.
        """
        if self.file and self.file.mistakes:
            raise ConfigError(*self.file.mistakes)

    def read(self, schema: Schema) -> Texts:
        """Read these options; ignore others."""
        return self._read(schema, self._parser(schema, own=False))[0]

    def parse_known(self, schema: Schema) -> tuple[Texts, argparse.Namespace]:
        """Read these options and the command's own flags; ignore others."""
        return self._read(schema, self._parser(schema, own=True))

    def parse(self, schema: Schema) -> tuple[Texts, argparse.Namespace]:
        """Read all options and the command's own flags; ``--help`` prints help and exits.

        Raises:
            ConfigError: a flag is unknown or misused.
        """
        return self._read(schema, self._parser(schema, own=True), strict=True)

    def ignored(self, schema: Schema, arguments: argparse.Namespace, unused: Iterable[str]) -> list[str]:
        """Return warnings about settings without effect.

        Args:
            schema: all options.
            arguments: the result of `parse`.
            unused: names of disabled instances; their variables are not a mistake.
        """
        said = []
        flags = [flag for flag in self._program.ignored_flags if getattr(arguments, flag[2:].replace("-", "_"))]
        if flags:
            said.append(f"{', '.join(flags)}: ignored, since the log goes to stderr")
        variables = {CONFIG_VARIABLE, *(declaration.variable for declaration in schema)}
        return [*said, *unknown_variables(self._environment, variables, unused)]

    def _parser(self, schema: Schema, *, own: bool) -> Parser:
        return settings_parser(self._program, schema, self.file, own=own)

    def _read(self, schema: Schema, parser: Parser, *, strict: bool = False) -> tuple[Texts, argparse.Namespace]:
        lists = {declaration.variable for declaration in schema if declaration.option.type.repeated}
        environment = {name: value for name, value in self._environment.items() if value or name in lists}
        namespace, rest = parser.parse_known_args(self._arguments, config_file_contents="", env_vars=environment)
        if rest and strict:
            parser.refuse(rest)
        sources = parser.get_source_to_settings_dict()
        variables = set(sources.get("environment_variables", {}))
        if self._program.environment_first:
            variables.update(environment)
        # ConfigArgParse appends the file's name to this source; the stream that replaces the file has no name.
        in_file = {flag for source, found in sources.items() if source.startswith("config_file") for flag in found}
        texts = {}
        for declaration in schema:
            given = getattr(namespace, destination(declaration))
            if declaration.variable in variables:
                name = self._aliased.get(declaration.variable, declaration.variable)
                texts[declaration.place] = Text(environment[declaration.variable], f"environment {name}")
            elif declaration.flag[2:] in in_file:
                texts[declaration.place] = self._text_in_file(declaration.place)
            elif given:
                texts[declaration.place] = _given_as_flag(declaration, given)
            elif declaration.place in self._program.defaults:
                texts[declaration.place] = Text(self._program.defaults[declaration.place], "default")
        return texts, namespace

    def _text_in_file(self, place: Place) -> Text:
        assert self.file is not None
        entry = next(entry for entry in self.file.entries if (entry.section, entry.key) == place)
        # The text as written: argparse treats "--" as no value.
        return Text(entry.value, f"{self.file.name}:{entry.line}")


def _given_as_flag(one: Declaration, given: list[tuple[str, str]]) -> Text:
    if one.option.type.secret:
        raise ConfigError(
            f"flag {one.flag}: others can read the command line; set {one.variable}, or '{one.option.name}' under "
            f"[{one.section}] in the file"
        )
    text = "\n".join(text for _, text in given) if one.option.type.repeated else given[-1][1]
    return Text(text, f"flag {given[-1][0]}")
