"""The names of the files in the state directory; all others are never touched."""

import re
from typing import NamedTuple

# The groups: the name of the control plane's file, and when it was set aside as unreadable or removed.
_OURS = (
    r"(?P<name>(?:[a-z][a-z0-9_-]*|unnamed\.[0-9a-f]{16})(?:\.[0-9]+)?)\.snapshot"
    r"(?:\.(?P<state>bad|removed)-(?P<when>[0-9]+))?"
)


QUARANTINED = "kuma-sd.quarantined"
"""Name of the file with the groups of quarantined targets."""


class SavedFile(NamedTuple):
    """A file in the state directory.

    Args:
        name: the name under which it was written.
        file: the present name of the file.
        state: why it was set aside, ``bad`` or ``removed``; empty if it was not.
        when: when it was set aside, in seconds since the epoch.
    """

    name: str
    file: str
    state: str
    when: float


def saved_file(file: str) -> SavedFile | None:
    """Return what the name of a file says; None if it is none of ours."""
    found = re.fullmatch(_OURS, file)
    return SavedFile(found["name"], file, found["state"] or "", float(found["when"] or 0)) if found else None


def file_of(name: str) -> str:
    """Return the name of a control plane's file."""
    return f"{name}.snapshot"
