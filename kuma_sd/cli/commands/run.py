"""Follow the control planes and publish their targets, until stopped by SIGTERM or Ctrl-C.

Examples:
  kuma-sd run -c /etc/kuma-sd.conf
  kuma-sd run --cp-address=http://kuma-control-plane.internal:5676 --file-sd-path=/var/run/kuma-sd/kuma.json
  kuma-sd run --once --cp-address=grpc://kuma-control-plane.internal:5676 --file-sd-path=kuma.yml
"""

import argparse
import os
import sys

from kuma_sd.cli.main import argument_type
from kuma_sd.core.option_types import DURATION
from kuma_sd.settings.model import Settings

TAKES_SETTINGS = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own flags."""
    parser.add_argument(
        "--once",
        action="store_true",
        help="publish once and end; if a control plane is missing, there is no target, or too many vanished, fail and "
        "change no file",
    )
    parser.add_argument("--allow-empty", action="store_true", help="with --once: publish also if there is no target")
    parser.add_argument(
        "--accept",
        action="store_true",
        help="with --once: publish even if more targets than guard-max-drop vanish from the files that are there",
    )
    parser.add_argument(
        "--once-timeout",
        type=argument_type(DURATION),
        metavar="DURATION",
        default=30.0,
        help="with --once: maximum time to wait (default: 30s)",
    )


def execute(arguments: argparse.Namespace, settings: Settings | None) -> int:
    """Run the daemon, or publish once."""
    assert settings is not None
    # Whatever others may not do, we may read and write what we make.
    os.umask(os.umask(0) & 0o077)
    if arguments.once:
        # Imported late: `--once` and the daemon need different modules.
        from kuma_sd.runtime.one_shot import publish_once  # noqa: PLC0415

        publish_once(settings, arguments.once_timeout, allow_empty=arguments.allow_empty, accept=arguments.accept)
        return 0
    from kuma_sd.service.process import Service  # noqa: PLC0415
    from kuma_sd.system import memory  # noqa: PLC0415
    from kuma_sd.system.descriptors import is_writable  # noqa: PLC0415

    memory.prepare()
    try:
        Service(settings, arguments.reload).run()
    except SystemExit as end:
        # Only a requested stop exits with 0, not a plugin that calls sys.exit().
        raise RuntimeError("something in the daemon ended the process") from end
    except BaseException:
        if not is_writable(sys.stderr):
            # The pipe is full and has no reader: writing the reason would block for ever.
            os._exit(1)
        raise
    # A normal interpreter exit would free every object of a large mesh, and wait for blocked plugins.
    os._exit(0)
