"""Check the settings without connecting to anything.

Examples:
  kuma-sd check
  kuma-sd check -c new.conf

Builds everything as `kuma-sd run` does, but connects, locks and writes nothing: you can run it beside a daemon. Prints
every mistake with its place and exits with 2. What is only unusual is a warning. Run it as the daemon's user: whether
files can be read and written is checked only if you own state-dir or, unless you are root, if you may write it.
"""

import argparse

from kuma_sd.cli.main import set_logging_up
from kuma_sd.cli.settings_flags import settings_flags
from kuma_sd.core.errors import Mistakes
from kuma_sd.core.logger import Logger
from kuma_sd.core.text import counted
from kuma_sd.plugin.optional_interfaces import GivesRemarks, ReadByPrometheus
from kuma_sd.runtime.builder import Components, build
from kuma_sd.runtime.foreseen_failures import check_failures
from kuma_sd.runtime.setting_warnings import warn
from kuma_sd.settings.model import Settings, WrongSettingsError

TAKES_SETTINGS = True

SETTINGS_IN_HELP: tuple[str, ...] = ()

_log = Logger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing: this command has no flags of its own."""


def execute(arguments: argparse.Namespace, settings: Settings | None) -> int:  # noqa: ARG001 (the contract of commands)
    """Build all components, and print the result."""
    assert settings is not None
    mistakes = Mistakes()
    components = _built(settings, mistakes)
    mistakes.check()
    assert components is not None
    warn(components)
    for named, output in components.outputs.values():
        if isinstance(output, GivesRemarks):
            for remark in output.remarks():
                print(f"output {named.name}: {remark}")
    components.close()
    counts = f"{counted(len(components.sources), 'control plane')}, {counted(len(components.outputs), 'output')}"
    print(f"OK: {counts}; {settings.source}")
    if any(isinstance(output, ReadByPrometheus) for _, output in components.outputs.values()):
        print(f"For prometheus.yml: kuma-sd prometheus-config{settings_flags(settings)}")
    return 0


def with_mistakes(wrong: WrongSettingsError) -> int:
    """Report the mistakes, together with those of what can be built nevertheless."""
    mistakes = Mistakes()
    mistakes.add(wrong)
    set_logging_up(wrong.usable)
    if components := _built(wrong.usable, mistakes):
        components.close()
    mistakes.check()
    return 2


def _built(settings: Settings, mistakes: Mistakes) -> Components | None:
    """Build all components, and collect the mistakes."""
    mistakes.attempt(_check_web, settings)
    components = mistakes.attempt(build, settings)
    mistakes.attempt(check_failures, settings, components or Components())
    return components


def _check_web(settings: Settings) -> None:
    if settings.web.config_file:
        # Imported late: most installations have no web configuration, and TLS takes long to load.
        from kuma_sd.web.server.web_config import Reading  # noqa: PLC0415

        for note in Reading(settings.web.config_file).config().notes:
            _log.warning(note)
