"""Find the running daemon although the settings are wrong."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from kuma_sd.core.errors import Mistakes
from kuma_sd.core.options import options_of
from kuma_sd.settings.cli_parser import Program
from kuma_sd.settings.parsing import Values
from kuma_sd.settings.precedence import Precedence
from kuma_sd.settings.schema import CORE, CoreOptions, Declaration, Schema, SchemaGroup


def find_daemon(
    arguments: Sequence[str], environment: Mapping[str, str], program: Program
) -> tuple[argparse.Namespace, Path | None]:
    """Return a command's own flags and the control socket, as far as invalid settings allow.

    Args:
        arguments: the command line after the command.
        environment: the environment variables.
        program: the command.
    """
    option = next(option for option in options_of(CoreOptions) if option.name == "control-socket")
    schema = Schema([SchemaGroup(CORE, CORE, (Declaration(CORE, option),))])
    texts, namespace = Precedence(arguments, environment, program, lenient=True).parse_known(schema)
    socket: Path | None = Mistakes().attempt(Values(texts).value, option, CORE)
    return namespace, socket
