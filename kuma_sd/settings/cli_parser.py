"""The command that settings are read for, and the parser of its flags."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, NoReturn

from kuma_sd.core.errors import UsageError
from kuma_sd.core.text import did_you_mean


class Program(NamedTuple):
    """A command and its ways.

    Args:
        name: how it is called, like ``kuma-sd run``.
        description: its help text.
        add_arguments: adds the flags that are its own.
        environment_first: whether the environment beats flags.
        defaults: its own defaults, by section and name of the option, where they differ.
        ignored_flags: flags that it takes, with a value, and does not heed.
        default_file: the settings file to read when none is named and this one exists; empty for none.
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
    """For parsers: raise UsageError instead of printing and exiting."""

    _option_string_actions: dict[str, argparse.Action]

    def error(self, message: str) -> NoReturn:
        """Raise what is wrong with the command line."""
        raise UsageError(message)

    def refuse(self, rest: Sequence[str]) -> NoReturn:
        """Raise that there are arguments which nothing takes; their values are not shown, one may be a secret."""
        flags = [argument.partition("=")[0] for argument in rest if argument.startswith("-")]
        if not flags:
            raise UsageError(f"unexpected argument '{rest[0]}'")
        # Those without help are there to be refused, or to be passed over.
        known = [flag[2:] for flag, action in self._option_string_actions.items() if action.help != argparse.SUPPRESS]
        raise UsageError(f"unknown flag {flags[0]}{did_you_mean(flags[0].lstrip('-'), known, '--{}')}")


class StrictParser(Strict, argparse.ArgumentParser):
    """The standard library's parser, but strict."""
