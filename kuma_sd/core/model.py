"""The nouns. They flow one way: an assignment is received, a target is read from it, a target group is published.

Those that exist for each target are structs of msgspec: made in a quarter of the time that a named tuple takes,
smaller, and, since they hold no cycle, none of the garbage collector's business (``gc=False``).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import Protocol

import msgspec

from kuma_sd.core.errors import TransformError
from kuma_sd.core.list_diff import difference

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
    """An assignment, read. Made on demand and never kept: 100,000 of them would cost 300 MB."""

    control_plane: str
    mesh: str
    service: str
    name: str
    address: str
    scheme: str
    metrics_path: str
    labels: Labels


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
        connected: when the connection it came over was made, in seconds of ``time.monotonic()``.
        complete: False when something did not parse, so that absence proves nothing.
    """

    control_plane: str
    assignments: Sequence[Assignment]
    received: float
    connected: float
    complete: bool = True


class GroupKey(msgspec.Struct, frozen=True, order=True, gc=False, array_like=True):
    """The assignment's key, and the place among the results of its transforms."""

    assignment: Key
    place: int


# JSON allows these, strict YAML readers refuse them or take them for line ends (go-yaml v2 as in Prometheus).
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufffe\uffff]")

# YAML takes no longer plain key than 1,024 characters (YAML 1.1, 9.3.2), and one such name would cost the whole file.
LONGEST_LABEL_NAME = 1000


class _GroupInJSON(msgspec.Struct, gc=False):
    targets: list[str]
    labels: Labels


# Sorts the labels.
_ENCODER = msgspec.json.Encoder(order="deterministic")
_DECODER = msgspec.json.Decoder(_GroupInJSON)

_DELETE = 0x7F
"""The only one of them in ASCII."""


def _for_yaml(line: bytes) -> bytes:
    return _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", line.decode()).encode()


class TargetGroup(msgspec.Struct, frozen=True, order=True, gc=False, array_like=True):
    """One target as Prometheus will see it: its key and its line of JSON. Nothing else is kept.

    Args:
        key: its identity.
        json: ``{"targets":[…],"labels":{…}}`` with sorted names; ``- `` in front of it makes it a line of YAML.
    """

    key: GroupKey
    json: bytes

    @classmethod
    def render(cls, key: GroupKey, labels: Labels) -> "TargetGroup":
        """Render a label set; its ``__address__`` becomes the target, empty values are left out.

        Raises:
            TransformError: a name or value cannot be written.
        """
        present = labels.copy() if all(labels.values()) else {name: value for name, value in labels.items() if value}
        address = present.pop("__address__", "")
        try:
            # JSON would take numbers; joining is the cheapest way to ask whether everything is text.
            "".join(present.values())
            line = _ENCODER.encode(_GroupInJSON([address], present))
        except (TypeError, UnicodeEncodeError) as error:
            raise TransformError(f"labels must be valid Unicode text: {error}") from error
        # No name is longer than the line, so that most are not looked at.
        if len(line) > LONGEST_LABEL_NAME and max(map(len, present), default=0) > LONGEST_LABEL_NAME:
            raise TransformError(f"a label name is longer than {LONGEST_LABEL_NAME} characters")
        return cls(key, line if line.isascii() and _DELETE not in line else _for_yaml(line))

    @property
    def targets(self) -> list[str]:
        """The addresses, decoded from the line."""
        return _DECODER.decode(self.json).targets

    @property
    def labels(self) -> Labels:
        """The labels without ``__address__``, decoded from the line."""
        return _DECODER.decode(self.json).labels


# Groups are looked at by the hundred thousand, so in C.
_LINE = attrgetter("json")


@dataclass(frozen=True, slots=True)
class Change:
    """How one publication differs from an earlier one; each part is sorted by key."""

    added: Sequence[TargetGroup]
    removed: Sequence[TargetGroup]
    changed: Sequence[TargetGroup]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    def __str__(self) -> str:
        return f"{len(self.added)} added, {len(self.removed)} removed, {len(self.changed)} changed"


@dataclass(frozen=True)
class Publication:
    """All target groups, in order. Holds no delta, so that one that was superseded takes nothing with it.

    Args:
        groups: sorted by key; of groups with equal lines only the one with the smallest key.
        received: when the newest message in it came, in seconds of ``time.time()``.
        duplicates: how many groups were left out because an equal line is in already.
    """

    groups: Sequence[TargetGroup]
    received: float
    duplicates: int = 0

    @classmethod
    def of(cls, groups: Iterable[TargetGroup], received: float) -> "Publication":
        """Make a publication of groups that are sorted by key."""
        ordered = tuple(groups)
        duplicates = len(ordered) - len(set(map(_LINE, ordered)))
        if duplicates:
            unique = dict(zip(map(_LINE, reversed(ordered)), reversed(ordered), strict=True))
            ordered = tuple(sorted(unique.values()))
        return cls(ordered, received, duplicates)

    def since(self, earlier: "Publication | None") -> Change:
        """Compare with whatever an output published last.

        Args:
            earlier: any earlier publication, or None when nothing was published yet.
        """
        # Unchanged groups are the same objects, so most fall out by identity before any key is compared.
        vanished, new = difference(earlier.groups if earlier else (), self.groups)
        fresh = {group.key: group for group in new}
        gone = {group.key: group for group in vanished}
        return Change(
            added=tuple(group for key, group in fresh.items() if key not in gone),
            removed=tuple(group for key, group in gone.items() if key not in fresh),
            changed=tuple(group for key, group in fresh.items() if key in gone and gone[key] != group),
        )

    @cached_property
    def lines(self) -> tuple[bytes, ...]:
        """The lines of JSON alone, in order."""
        return tuple(map(_LINE, self.groups))
