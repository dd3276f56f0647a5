"""List the installed plugins, the distribution each comes from, and its options with their defaults.

Example:
  kuma-sd plugins

A source is listed once for each of its URL schemes. A broken plugin is shown with the reason. It does no harm as
long as no setting names it.
"""

import argparse
from typing import TYPE_CHECKING

from kuma_sd.core.options import options_of
from kuma_sd.plugin import manager

if TYPE_CHECKING:
    from kuma_sd.settings.loader import Settings

TAKES_SETTINGS = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing: this command has no flags."""


def execute(arguments: argparse.Namespace, settings: "Settings | None") -> int:  # noqa: ARG001 (the contract of commands)
    """Print the list."""
    loaded = manager.Plugins().load_all()
    rows = [("KIND", "NAME", "FROM", "OPTIONS"), *(row for loaded_plugin in loaded for row in _rows(loaded_plugin))]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        print("  ".join([*(cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True)), row[3]]).rstrip())
    return 0


def _rows(one: manager.Loaded) -> list[tuple[str, str, str, str]]:
    kind, name, distribution, version = one.available
    if one.plugin is None:
        lines = [f"broken: {one.error}"]
    else:
        options = options_of(one.plugin.options)
        lines = [f"{option.name} = {option.show(option.default)}".rstrip() for option in options] or ["-"]
    first = (kind or "?", name, f"{distribution} {version}".rstrip(), lines[0])
    return [first, *(("", "", "", line) for line in lines[1:])]
