"""Check the settings: everything is built as `kuma-sd run` builds it, but nothing is connected, claimed or written.

So it can run beside a daemon, with the settings that the daemon shall get next. Exits with 2 and says what is wrong,
and where, if anything is. What is merely odd is a warning.

Example:
  kuma-sd check -c /etc/kuma-sd.conf
"""

import argparse
import logging

from kuma_sd.core.text import counted
from kuma_sd.runtime.builder import build
from kuma_sd.runtime.setting_warnings import warn
from kuma_sd.settings.loader import Settings

TAKES_SETTINGS = True

_log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing: this command has no flags of its own."""


def execute(arguments: argparse.Namespace, settings: Settings | None) -> int:  # noqa: ARG001 (the contract of commands)
    """Build everything."""
    assert settings is not None
    _check_web(settings)
    components = build(settings)
    warn(components)
    components.close()
    print(f"OK: {counted(len(components.sources), 'control plane')}, {counted(len(components.outputs), 'output')}")
    return 0


def _check_web(settings: Settings) -> None:
    if settings.web.config_file:
        # Late, since most have none, and TLS takes long to load.
        from kuma_sd.web.server.web_config import Reading  # noqa: PLC0415

        for note in Reading(settings.web.config_file).config().notes:
            _log.warning("%s", note)
