"""Show how a running daemon is: whether it hears the control planes, what they have, and what was published when.

The daemon is asked over its control socket, which is found as the daemon finds it: give the same settings.

Exits with 0 when the daemon is healthy, which means that all of its threads move: so this command serves as the health
check of a container. A control plane that is down, or an output that fails, is shown but does not make it unhealthy,
since another start would not help. With --ready it exits with 1, too, while an output has published nothing yet. If no
daemon answers, the exit status is 1.

Examples:
  kuma-sd status
  kuma-sd status --format json -c /etc/kuma-sd.conf
  kuma-sd status --ready > /dev/null
"""

import argparse
import json
import os
import sys

import msgspec

from kuma_sd.cli.render.status import screen
from kuma_sd.cli.render.style import style
from kuma_sd.core.errors import KumaSDError
from kuma_sd.settings.loader import Settings
from kuma_sd.telemetry.status import Status
from kuma_sd.web.client import ask, default_control_socket

TAKES_SETTINGS = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what belongs to this command only."""
    parser.add_argument("--format", choices=("text", "json"), default="text", help="how to show it (default: text)")
    parser.add_argument("--ready", action="store_true", help="exit with 1 while an output has published nothing yet")


def execute(arguments: argparse.Namespace, settings: Settings | None) -> int:
    """Ask the daemon, and print how it is."""
    assert settings is not None
    answered, text = ask(settings.core.control_socket or default_control_socket(os.environ), "GET", "/api/status")
    if answered != 200:  # noqa: PLR2004 (the HTTP status)
        raise KumaSDError((text.splitlines() or [f"the daemon answers with status {answered}"])[0])
    try:
        status = msgspec.json.decode(text, type=Status)
    except msgspec.MsgspecError as error:
        raise KumaSDError(f"the daemon's answer is of another version than this command: {error}") from error
    if arguments.format == "json":
        # In ASCII, since names come from outside and may hold what terminals obey.
        print(json.dumps(json.loads(text), indent=2))
    else:
        print("\n".join(screen(status, style(sys.stdout))))
    return int(bool(status.unhealthy or (arguments.ready and status.unready)))
