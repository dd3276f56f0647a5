"""Print the version.

Example:
  kuma-sd version
"""

import argparse
from typing import TYPE_CHECKING

from kuma_sd._version import __version__

if TYPE_CHECKING:
    from kuma_sd.settings.model import Settings

TAKES_SETTINGS = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing: this command has no flags."""


def execute(arguments: argparse.Namespace, settings: "Settings | None") -> int:  # noqa: ARG001 (the contract of commands)
    """Print the version."""
    print(f"kuma-sd {__version__}")
    return 0
