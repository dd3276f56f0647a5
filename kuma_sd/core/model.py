"""What control planes say: assignments, the targets that are read from them, and snapshots.

Those that exist for each target are structs of msgspec: made in a quarter of the time that a named tuple takes,
smaller, and, since they hold no cycle, none of the garbage collector's business (``gc=False``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

Labels = dict[str, str]
"""One label set as Prometheus would see it, ``__address__`` included; an empty value means that the label is absent."""


class Key(msgspec.Struct, frozen=True, order=True, gc=False, array_like=True):
    """What makes an assignment the same one over time, protocols and upgrades of the control plane.

    Args:
        control_plane: the name it has in the settings; empty for the only one, which needs no name.
        mesh: the mesh of the dataplane.
        name: the name of the dataplane.
        ordinal: the place among targets of equal names, in the order of their bytes; nearly always 0.
    """

    control_plane: str
    mesh: str
    name: str
    ordinal: int


class Target(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """An assignment, read. Made on demand and never kept: 100,000 of them would cost 300 MB.

    ``job`` is what Prometheus shall call its service, where that is something else; empty for the service.
    """

    control_plane: str
    mesh: str
    service: str
    name: str
    address: str
    scheme: str
    metrics_path: str
    labels: Labels
    job: str = ""


class Codec(Protocol):
    """Reads the bytes of one kind of assignment. Codecs are compared, so each kind has one instance."""

    name: str

    def read(self, key: Key, data: bytes) -> Target:
        """Read one target."""


class Assignment(msgspec.Struct, frozen=True, order=True, gc=False, array_like=True):
    """One target as received.

    Args:
        key: its identity. Equal keys with other bytes are a change, never a loss.
        data: its bytes as they came; equal bytes are never decoded twice.
        codec: what reads them.
    """

    key: Key
    data: bytes
    codec: Codec

    def read(self) -> Target:
        """Decode the bytes."""
        return self.codec.read(self.key, self.data)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All assignments of one control plane at one moment. A new one replaces the old one.

    Args:
        control_plane: its name; empty for the only one.
        assignments: sorted by key, each key once.
        received: when the message came, in seconds of ``time.time()``.
        connected: when the present contact with the control plane began, in seconds of ``time.monotonic()``.
        unreadable: digests of the resources that could not be read; equal ones over time are the same resource.
    """

    control_plane: str
    assignments: Sequence[Assignment]
    received: float
    connected: float
    unreadable: frozenset[bytes] = frozenset()

    @property
    def complete(self) -> bool:
        """Whether everything could be read; otherwise what is absent may be what could not."""
        return not self.unreadable


@dataclass(frozen=True, slots=True)
class ContactLost:
    """A source lost contact with its control plane.

    Args:
        control_plane: its name; empty for the only one.
        at: the last moment in contact, in seconds of ``time.monotonic()``.
    """

    control_plane: str
    at: float


SourceEvent = Snapshot | ContactLost
"""What a source's thread tells the pipeline."""


@dataclass(frozen=True, slots=True)
class LastGoodTargets:
    """What is saved of a control plane, and what a restart begins with.

    Args:
        name: its name; empty for the only one.
        endpoints: where the control plane answered that it came from; empty if that is not known.
        configured: the endpoints in the settings, where that control plane may not have answered yet.
        assignments: what was published of it, sorted by key.
        received: when the newest answer came, in seconds of ``time.time()``.
        file: the name of the file that it is kept in; empty for none yet.
    """

    name: str
    endpoints: frozenset[str]
    assignments: Sequence[Assignment]
    received: float
    file: str = ""
    configured: frozenset[str] = frozenset()
