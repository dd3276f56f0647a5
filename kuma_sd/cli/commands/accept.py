"""Release the vanished targets that the guard of the running daemon holds.

Examples:
  kuma-sd accept
  kuma-sd accept east -c /etc/kuma-sd.conf
  kuma-sd accept file_sd

Targets that vanish in a suspicious way stay published for a while (guard-hold). If they are really gone, this releases
them at once. With the name of an output that writes parts, it ends parts-overlap early: the time in which targets are
in their old part as well as in the new one. Asks the daemon over its control socket, so give it the same settings.
"""

import argparse
import os
from pathlib import Path
from urllib.parse import urlencode

from kuma_sd.cli.daemon_errors import naming
from kuma_sd.core.errors import ConfigError, KumaSDError
from kuma_sd.settings.default_control_socket import default_control_socket
from kuma_sd.settings.model import Settings
from kuma_sd.system.log_format import escape
from kuma_sd.web.client import NoDaemonError, ask

TAKES_SETTINGS = True

SETTINGS_IN_HELP: tuple[str, ...] = ("control-socket",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own flags."""
    parser.add_argument(
        "control_plane", metavar="NAME", nargs="?", help="only the control plane, or the output, of this name"
    )


def execute(arguments: argparse.Namespace, settings: Settings | None) -> int:
    """Send the request to the daemon, and print what it released."""
    assert settings is not None
    with naming(settings.source):
        return _accept(arguments, settings.core.control_socket)


def without_settings(arguments: argparse.Namespace, control_socket: Path | None, mistakes: ConfigError) -> int:
    """Send the request although the settings are invalid: held targets do not depend on them."""
    try:
        return _accept(arguments, control_socket)
    except NoDaemonError as error:
        raise ConfigError(*mistakes.mistakes, str(error)) from error


def _accept(arguments: argparse.Namespace, control_socket: Path | None) -> int:
    path = control_socket or default_control_socket(os.environ)
    name = arguments.control_plane
    status, text = ask(path, "POST", "/-/accept" + (f"?{urlencode({'control-plane': name})}" if name else ""))
    lines = [escape(line) for line in text.splitlines()]
    if status != 200:  # noqa: PLR2004 (the HTTP status)
        raise KumaSDError(lines[0] if lines else f"the daemon answers with status {status}")
    print("\n".join(lines))
    return 0
