"""Show the settings in effect, and where each was set: a flag, a variable, a line of the file, or nowhere.

Examples:
  kuma-sd config
  kuma-sd config -c new.conf
  kuma-sd config --defaults > kuma-sd.conf

The output is a settings file with the same effect. Only secrets are masked and must be put back.
"""

import argparse
from collections.abc import Sequence
from typing import Any

from kuma_sd.core.secret import MASK
from kuma_sd.plugin.manager import Plugins
from kuma_sd.settings.config_file import write_entry
from kuma_sd.settings.model import Settings
from kuma_sd.settings.parsing import Effective
from kuma_sd.settings.sample_file import sample

TAKES_SETTINGS = True

SETTINGS_IN_HELP: tuple[str, ...] = ()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own flags."""
    parser.add_argument(
        "--defaults",
        action=_PrintSample,
        nargs=0,
        help="print a sample file with every option and its default, and end",
    )


def execute(arguments: argparse.Namespace, settings: Settings | None) -> int:  # noqa: ARG001 (the contract of commands)
    """Print the settings."""
    assert settings is not None
    sections: dict[str, list[str]] = {}
    for setting in settings.effective:
        sections.setdefault(setting.section, [f"[{setting.section}]"]).append(_entry(setting))
    print(f"# {settings.source[:1].upper()}{settings.source[1:]}.\n")
    print("\n\n".join("\n".join(entries) for entries in sections.values()))
    return 0


class _PrintSample(argparse.Action):
    """Prints the sample and exits, like ``--help``: users need it when they have no valid settings yet."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        _namespace: argparse.Namespace,
        _values: str | Sequence[Any] | None,
        _option_string: str | None = None,
    ) -> None:
        print(sample(Plugins()), end="")
        parser.exit()


def _entry(one: Effective) -> str:
    value = "\n".join(one.value.split()) if one.option.type.repeated else one.value
    entry = write_entry(one.option.name, value)
    # A masked value cannot be read back, so comment it out.
    is_masked = MASK in value
    return f"# {one.origin}\n" + ("\n".join(f"#{line}" for line in entry.splitlines()) if is_masked else entry)
