"""List the installed plugins, the distribution each comes from, and its options with their defaults.

Examples:
  kuma-sd plugins
  kuma-sd plugins --trace -c /etc/kuma-sd.conf
  kuma-sd plugins new consul

A source is listed once for each of its URL schemes. A plugin that only has hooks is listed with their names. A broken
plugin is shown with the reason. It does no harm as long as no setting names it.

--trace shows what the settings load, which hook calls which plugins and in which order, and what is not loaded and why.

'new NAME' writes a plugin distribution to start from, with tests, into the new folder kuma-sd-NAME.
"""

import argparse
from pathlib import Path

from kuma_sd.cli.main import COMMANDS
from kuma_sd.cli.new_plugin import write_distribution
from kuma_sd.cli.render.plugin_trace import NAME_IS_TAKEN, trace
from kuma_sd.core.errors import ConfigError, UsageError
from kuma_sd.core.options import NoOptions, options_of
from kuma_sd.plugin import manager
from kuma_sd.settings.model import Settings

TAKES_SETTINGS = True

SETTINGS_IN_HELP: tuple[str, ...] = ("plugins", "plugin-file")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own flags."""
    parser.add_argument("new", nargs="*", metavar="[new NAME]", help="write a plugin distribution to start from")
    parser.add_argument(
        "--trace",
        action="store_true",
        help="show which hook calls which plugins that the settings load, and in which order",
    )


def execute(arguments: argparse.Namespace, settings: Settings | None) -> int:
    """Print the list, or the trace, or write a distribution."""
    assert settings is not None
    if arguments.new:
        _write_distribution(arguments.new)
    elif arguments.trace:
        for line in trace(settings):
            print(line)
    else:
        _list()
    return 0


def without_settings(arguments: argparse.Namespace, control_socket: Path | None, mistakes: ConfigError) -> int:
    """Do what does not depend on the settings, although they are invalid."""
    del control_socket
    if arguments.trace:
        raise mistakes
    if arguments.new:
        _write_distribution(arguments.new)
    else:
        _list()
    return 0


def _write_distribution(words: list[str]) -> None:
    if len(words) != 2 or words[0] != "new":  # noqa: PLR2004 (new NAME)
        raise UsageError(f"'{' '.join(words)}' is not understood; write: kuma-sd plugins new NAME")
    folder = write_distribution(words[1], Path())
    print(f"Wrote {folder}: an output and a transform to change, and their tests. To run these:")
    print(f"  cd {folder} && pip install --editable '.[test]' && pytest")


def _list() -> None:
    loaded = manager.Plugins().load_all()
    rows = [("KIND", "NAME", "FROM", "OPTIONS"), *(row for loaded_plugin in loaded for row in _rows(loaded_plugin))]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        print("  ".join([*(cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True)), row[3]]).rstrip())


def _rows(one: manager.Loaded) -> list[tuple[str, str, str, str]]:
    first, *rest = _about(one) or ["-"]
    available = one.available
    return [(available.kind or "?", available.name, available.provider, first), *(("", "", "", line) for line in rest)]


def _about(one: manager.Loaded) -> list[str]:
    if one.error:
        return [f"broken: {one.error}"]
    if one.available.kind == "command" and one.available.name in COMMANDS:
        return [f"broken: {NAME_IS_TAKEN}"]
    described = {hook for hook, _ in manager.DESCRIBING.values()}
    hooks = [f"hook {name}" for name in one.hooks if name not in described]
    if one.plugin is None:
        return hooks
    options = options_of(getattr(one.plugin, "options", NoOptions))
    return [*(f"{option.name} = {option.show(option.default)}".rstrip() for option in options), *hooks]
