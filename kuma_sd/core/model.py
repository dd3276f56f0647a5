"""Data received from control planes: assignments, the targets that are read from them, and snapshots.

Types of which one instance exists for each target are msgspec structs: they are created four times as fast as named
tuples, are smaller, and, since they hold no cycles, are not tracked by the garbage collector (``gc=False``).
"""

from collections.abc import Container, Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

Labels = dict[str, str]
"""A label set as Prometheus would see it, ``__address__`` included; an empty value means that the label is absent."""


class Key(msgspec.Struct, frozen=True, order=True, gc=False, array_like=True):
    """The identity of an assignment; stays the same over time, protocols and upgrades of the control plane.

    Args:
        control_plane: its name in the settings; empty for the only one, which needs no name.
        mesh: the mesh of the dataplane.
        name: the name of the dataplane.
        ordinal: the index among targets of equal names, in the order of their bytes; nearly always 0.
    """

    control_plane: str
    mesh: str
    name: str
    ordinal: int


class Target(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A decoded assignment. Created on demand and never kept: 100,000 of them would take 300 MB.

    ``job`` is the value of Prometheus's label ``job`` if it differs from the service; empty otherwise.
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
    """Decodes the bytes of one kind of assignment. Codecs are compared, so each kind has one instance."""

    name: str

    def read(self, key: Key, data: bytes) -> Target:
        """Decode one target."""


class Assignment(msgspec.Struct, frozen=True, order=True, gc=False, array_like=True):
    """One target as received.

    Args:
        key: its identity. The same key with other bytes is a change, never a loss.
        data: its bytes as received; equal bytes are never decoded twice.
        codec: decodes the bytes.
    """

    key: Key
    data: bytes
    codec: Codec

    def read(self) -> Target:
        """Decode the bytes."""
        return self.codec.read(self.key, self.data)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All assignments of one control plane at one moment. A new snapshot replaces the old one.

    Args:
        control_plane: its name; empty for the only one.
        assignments: sorted by key, each key once.
        received: when the message was received, in seconds of ``time.time()``.
        connected: when the current contact with the control plane began, in seconds of ``time.monotonic()``.
        unreadable: digests of the resources that could not be read; an equal digest means the same resource.
        left_out: the keys of assignments that exist, but that the settings of the source leave out: an operator said
            so, and they are not held.
        unbroken_since: since when no connection was closed in the middle, in seconds of ``time.monotonic()``; the
            pipeline fills it in.
    """

    control_plane: str
    assignments: Sequence[Assignment]
    received: float
    connected: float
    unreadable: frozenset[bytes] = frozenset()
    left_out: Container[Key] = frozenset()
    unbroken_since: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether everything could be read; otherwise an absent assignment may be an unreadable one."""
        return not self.unreadable


class ContactLost(msgspec.Struct, frozen=True):
    """A source lost contact with its control plane.

    Args:
        control_plane: its name; empty for the only one.
        at: the last moment in contact, in seconds of ``time.monotonic()``.
    """

    control_plane: str
    at: float


SourceEvent = Snapshot | ContactLost
"""An event that the thread of a source sends to the pipeline."""


@dataclass(frozen=True, slots=True)
class LastGoodTargets:
    """The last good targets of a control plane: saved on disk, and published after a restart.

    Args:
        name: its name; empty for the only one.
        endpoints: the endpoints that the targets came from; empty if not known.
        configured: the endpoints in the settings, which may not have answered yet.
        assignments: the published assignments, sorted by key.
        received: when the newest response came, in seconds of ``time.time()``.
        file: the name of the file that holds them; empty if there is none yet.
        published_as: the name under which they were published last; None if that is not known.
        contact_until: until when there may have been contact, in seconds of ``time.time()``; None if not known.
    """

    name: str
    endpoints: frozenset[str]
    assignments: Sequence[Assignment]
    received: float
    file: str = ""
    configured: frozenset[str] = frozenset()
    published_as: str | None = None
    contact_until: float | None = None

    @property
    def published_name(self) -> str:
        """The control plane's name in what is published."""
        return self.name if self.published_as is None else self.published_as

    @property
    def origin(self) -> Hashable:
        """Whose targets these are."""
        return self.name, self.endpoints, self.configured, self.published_as

    @property
    def facts(self) -> Hashable:
        """What has to be saved when it changes, beside the assignments; the time of the last response is not in it."""
        return self.origin, self.contact_until
