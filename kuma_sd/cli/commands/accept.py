"""Let go of the targets that the guard of a running daemon holds: what the control plane has now is right.

Targets that vanish in a suspicious way stay published for a while (guard-hold). When they are gone for good, this
ends their stay at once.

When file_sd has more parts than before, targets stay in their old parts for parts-overlap. When Prometheus reads all of
the new ones, this ends their stay too.

The daemon is asked over its control socket, which is found as the daemon finds it: give the same settings.

Examples:
  kuma-sd accept
  kuma-sd accept east -c /etc/kuma-sd.conf
  kuma-sd accept file_sd
"""

import argparse
import os
from urllib.parse import urlencode

from kuma_sd.core.errors import KumaSDError
from kuma_sd.settings.loader import Settings
from kuma_sd.system.log_format import escape
from kuma_sd.web.client import ask, default_control_socket

TAKES_SETTINGS = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what belongs to this command only."""
    parser.add_argument(
        "control_plane", metavar="NAME", nargs="?", help="only the control plane, or the output, of this name"
    )


def execute(arguments: argparse.Namespace, settings: Settings | None) -> int:
    """Ask the daemon, and print what it let go."""
    assert settings is not None
    path = settings.core.control_socket or default_control_socket(os.environ)
    name = arguments.control_plane
    status, text = ask(path, "POST", "/-/accept" + (f"?{urlencode({'control-plane': name})}" if name else ""))
    lines = [escape(line) for line in text.splitlines()]
    if status != 200:  # noqa: PLR2004 (the HTTP status)
        raise KumaSDError(lines[0] if lines else f"the daemon answers with status {status}")
    print("\n".join(lines))
    return 0
