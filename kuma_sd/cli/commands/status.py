"""Show the status of the running daemon. Its exit status is a health check.

Examples:
  kuma-sd status
  kuma-sd status --format json -c /etc/kuma-sd.conf
  kuma-sd status --ready > /dev/null

Asks the daemon over its control socket, so give it the same settings. If they are wrong, asks the daemon all the same,
and says what is wrong.

Exit status: 0 if the daemon is healthy, which means that all of its threads run, and with --ready only if every output
has published something, too. 1 if one of these is not so, or if no daemon answers. A control plane that is down, or an
output that fails, is shown but is no reason to restart, so the daemon stays healthy. 2 if the command line is wrong, or
if no daemon answers and the settings are wrong.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import msgspec

from kuma_sd.cli.daemon_errors import naming
from kuma_sd.cli.render.status import screen
from kuma_sd.cli.render.style import style
from kuma_sd.core.decoding_errors import UNREADABLE
from kuma_sd.core.errors import ConfigError, KumaSDError
from kuma_sd.core.secret import redacted
from kuma_sd.settings.default_control_socket import default_control_socket
from kuma_sd.settings.model import Settings
from kuma_sd.system.log_format import escape
from kuma_sd.telemetry.status import Status
from kuma_sd.web.client import NoDaemonError, ask

TAKES_SETTINGS = True

SETTINGS_IN_HELP: tuple[str, ...] = ("control-socket",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own flags."""
    parser.add_argument("--format", choices=("text", "json"), default="text", help="how to show it (default: text)")
    parser.add_argument("--ready", action="store_true", help="exit with 1 while an output has published nothing yet")


def execute(arguments: argparse.Namespace, settings: Settings | None) -> int:
    """Query the daemon, and print its status."""
    assert settings is not None
    with naming(settings.source):
        return _show(arguments, settings.core.control_socket, settings.source)


def without_settings(arguments: argparse.Namespace, control_socket: Path | None, mistakes: ConfigError) -> int:
    """Query the daemon although the settings are invalid: its health does not depend on them."""
    try:
        status = _show(arguments, control_socket, "the settings are wrong")
    except NoDaemonError as error:
        raise ConfigError(*mistakes.mistakes, str(error)) from error
    for mistake in mistakes.mistakes:
        print(f"the settings are wrong, the daemon runs with others: {escape(redacted(mistake))}", file=sys.stderr)
    return status


def _show(arguments: argparse.Namespace, control_socket: Path | None, source: str) -> int:
    path = control_socket or default_control_socket(os.environ)
    answered, text = ask(path, "GET", "/api/status")
    if answered != 200:  # noqa: PLR2004 (the HTTP status)
        raise KumaSDError((text.splitlines() or [f"the daemon answers with status {answered}"])[0])
    try:
        status = msgspec.json.decode(text, type=Status)
    except UNREADABLE as error:
        raise KumaSDError(f"the daemon's answer is of another version than this command: {error}") from error
    if arguments.format == "json":
        # ASCII only: names are external input and may contain terminal control codes.
        print(json.dumps(json.loads(text), indent=2))
    else:
        shown = style(sys.stdout)
        print("\n".join(screen(status, shown)))
        print(f"\n{shown.dim(escape(f'asked at {path}; {source}'))}")
    return int(bool(status.unhealthy or (arguments.ready and status.unready)))
