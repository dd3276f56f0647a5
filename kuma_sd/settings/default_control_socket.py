"""Where the daemon and its commands find the control socket if the settings do not say."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path


def default_control_socket(environment: Mapping[str, str]) -> Path:
    """Return the default path of the control socket.

    The daemon and its commands must choose the same path. A service manager passes the daemon its runtime directory;
    for the packaged unit it is the directory that root's commands use.

    Args:
        environment: the environment variables.
    """
    # The service's runtime directories from systemd, separated by colons, in no defined order.
    if given := environment.get("RUNTIME_DIRECTORY"):
        directories = list(map(Path, given.split(":")))
        return (
            next((directory for directory in directories if directory.name == "kuma-sd"), directories[0])
            / "control.sock"
        )
    if os.geteuid() == 0:
        return Path("/run/kuma-sd/control.sock")
    own = Path(environment.get("XDG_RUNTIME_DIR", ""))
    # A relative one is to be ignored (XDG Base Directory Specification).
    if own.is_absolute():
        return own / "kuma-sd/control.sock"
    return Path(tempfile.gettempdir()) / f"kuma-sd-{os.geteuid()}/control.sock"
