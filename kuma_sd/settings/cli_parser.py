"""The command that reads the settings, and the base class of its flag parser."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from kuma_sd.core.errors import UsageError
from kuma_sd.core.text import did_you_mean


class Program(NamedTuple):
    """A command, and how it reads settings.

    Args:
        name: its name, like ``kuma-sd run``.
        description: its help text.
        add_arguments: adds the command's own flags.
        environment_first: whether variables override flags.
        defaults: its own defaults, by section and name of the option, where they differ.
        ignored_flags: flags that it accepts, with a value, and ignores.
        default_file: the settings file to use if none is named and this one exists; empty for none.
        settings_in_help: which options of [kuma-sd] ``--help`` shows; None for all settings. ``--help-all`` shows all.
    """

    name: str = "kuma-sd"
    description: str = ""
    add_arguments: Callable[[argparse.ArgumentParser], None] = lambda _parser: None
    environment_first: bool = False
    defaults: Mapping[tuple[str, str], str] = {}
    ignored_flags: Sequence[str] = ()
    default_file: str = ""
    settings_in_help: Sequence[str] | None = None


class Strict:
    """Parser mixin that raises UsageError instead of printing and exiting."""

    prog: str
    _option_string_actions: dict[str, argparse.Action]

    def error(self, message: str) -> NoReturn:
        """Raise UsageError for a mistake on the command line."""
        is_missing = message.startswith("the following arguments are required")
        raise UsageError(f"{message}; see {self.prog} --help" if is_missing else message)

    def refuse(self, rest: Sequence[str]) -> NoReturn:
        """Raise UsageError for unknown arguments, without their values, which may be secrets."""
        flags = [argument.partition("=")[0] for argument in rest if argument.startswith("-")]
        if not flags:
            import shlex  # noqa: PLC0415 (late, since it is rarely needed)

            takes_a_file = "-c" in self._option_string_actions and Path(rest[0]).is_file()
            meant = f"; a settings file is given as -c {shlex.quote(rest[0])}" if takes_a_file else ""
            # Anything else may be an address with a password.
            is_plain = takes_a_file or not set(rest[0]).intersection("@:=\n")
            shown = f"'{rest[0]}'" if is_plain else "(not shown: it may hold a secret)"
            raise UsageError(f"unexpected argument {shown}{meant}")
        # Flags without help exist only to be rejected or ignored.
        known = [flag[2:] for flag, action in self._option_string_actions.items() if action.help != argparse.SUPPRESS]
        raise UsageError(f"unknown flag {flags[0]}{did_you_mean(flags[0].lstrip('-'), known, '--{}')}")


class StrictParser(Strict, argparse.ArgumentParser):
    """The standard library's parser, made strict."""
