"""Limits of the control socket, which daemon and client share; the client loads more than the daemon needs."""

import os
from pathlib import Path

from kuma_sd.core.errors import KumaSDError

LARGEST_ANSWER = 2**24
"""Maximum size of a response, in bytes."""

LONGEST_PATH = 107
"""Maximum length of a unix socket's path, in bytes (unix(7))."""


def check_length(path: Path) -> None:
    """Reject a path that is too long for a unix socket.

    Raises:
        KumaSDError: the path is too long.
    """
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise KumaSDError(
            f"the control socket's path is longer than the {LONGEST_PATH} bytes that a unix socket can have: "
            f"{str(path)!r}; set control-socket to a shorter one"
        )
