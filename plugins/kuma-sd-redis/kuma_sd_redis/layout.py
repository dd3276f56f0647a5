"""Layout of the relay's data in Redis.

Targets are independent of each other, so they are divided into 1,024 buckets by a hash of their key. All keys of a
bucket have the same hash tag, so that a Cluster keeps them in one slot and a script can change them atomically::

    {PREFIX:417}:head     text: format, token, leader, epoch, revision, digest
    {PREFIX:417}:groups   hash: the group's key -> its line of JSON
    {PREFIX:417}:log      stream: one entry a revision, the revision as its id; trimmed
    {PREFIX:417}:changes  channel: the same entries, or a hint that there is one
    {PREFIX:lease}        text: who publishes; expires
    {PREFIX:lease}:token  number: how often the lease changed hands

Edges of any version find format, token and leader at the beginning of a head; what follows is the format's own.
"""

import re
import sys
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Annotated, NamedTuple

import msgspec

from kuma_sd import UNREADABLE, GroupKey, KumaSDError

BUCKETS = 1024

FORMAT = 1
"""Counts what older versions cannot read."""

_SPACE = 1 << 128

_Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]


class FormatError(KumaSDError):
    """What is in Redis was written by a version that this one does not know."""


class Position(NamedTuple):
    """Which content a bucket has.

    Args:
        epoch: within one, every revision follows from the one before by its entry in the log. It begins with the token
            of who began it.
        revision: counts the changes.
        digest: of the content, as `digest_of()` computes it.
    """

    epoch: str
    revision: int
    digest: int

    def __str__(self) -> str:
        return f"{self.epoch} {self.revision} {self.digest:032x}"


class Head(NamedTuple):
    """The head of a bucket.

    Args:
        token: the fencing token of the last write; a publisher with an older one must not write.
        leader: the publisher of the last write.
        position: the position of the bucket's content.
    """

    token: int
    leader: str
    position: Position

    def __str__(self) -> str:
        return f"{FORMAT} {self.token} {self.leader} {self.position}"

    @classmethod
    def parse(cls, data: bytes) -> "Head":
        """Read a head.

        Raises:
            FormatError: another version wrote it, or something else did.
        """
        words = data.decode("utf-8", "replace").split(" ")
        check_format(words[0])
        try:
            _, token, leader, epoch, revision, digest = words
            return cls(int(token), leader, Position(epoch, int(revision), int(digest, 16)))
        except ValueError as error:
            raise FormatError("a head in Redis is none; is the prefix used by something else?") from error


class Entry(msgspec.Struct, omit_defaults=True):
    """One revision of a bucket: what is in the log, and what is sent to those who follow.

    Args:
        format: the version of all this.
        epoch: of the bucket.
        revision: the one that this leads to.
        time: when the newest of it came from the control plane, in seconds of ``time.time()``.
        after: the digest after it, in hexadecimal digits.
        before: the digest before it; none for a hint, which tells that there is something to read.
        set: keys, and the lines that they have from now on.
        remove: keys that are gone.
    """

    format: int
    epoch: str
    revision: int
    time: float
    after: _Digest
    before: _Digest | None = None
    set: dict[str, msgspec.Raw] = {}
    remove: list[str] = []


class _Versioned(msgspec.Struct):
    format: int


_ENTRY = msgspec.json.Decoder(Entry)
_VERSIONED = msgspec.json.Decoder(_Versioned)


def encode(entry: Entry) -> bytes:
    """Return an entry as JSON. Lines stand in it as they are, so that it can be read with redis-cli."""
    return msgspec.json.encode(entry)


def decode(data: bytes) -> Entry:
    """Read an entry.

    Raises:
        FormatError: another version wrote it, or something else did.
    """
    try:
        check_format(str(_VERSIONED.decode(data).format))
        return _ENTRY.decode(data)
    except (*UNREADABLE, ValueError) as error:
        raise FormatError("an entry in Redis is none; is the prefix used by something else?") from error


def check_format(found: str) -> None:
    """Refuse what another version wrote.

    Raises:
        FormatError: it did.
    """
    if found != str(FORMAT):
        number = found if re.fullmatch("[0-9]{1,3}", found) else "unknown"
        raise FormatError(
            f"the relay is in format {number} and this kuma-sd-redis reads format {FORMAT}: a publisher has "
            "another version; install that version of kuma-sd-redis here too"
        )


def field_of(key: GroupKey) -> str:
    """Return a group's key as text: its parts between slashes, as in ``east/default/backend-01/0/0``."""
    assignment = key.assignment
    names = f"{_escaped(assignment.control_plane)}/{_escaped(assignment.mesh)}/{_escaped(assignment.name)}"
    return f"{names}/{assignment.ordinal}/{key.place}"


def mesh_of(field: str) -> str:
    """Return the mesh in a group's key."""
    parts = field.split("/", 2)
    return sys.intern(parts[1].replace("%2F", "/").replace("%25", "%") if len(parts) > 1 else "")


def target_of(field: str) -> str:
    """Return a group's key without its control plane, so that it stays the same when that gets another name."""
    return field.partition("/")[2]


def bucket_of(field: str) -> int:
    """Return the number of the bucket that a group belongs to, whatever the name of its control plane."""
    return int.from_bytes(blake2b(target_of(field).encode(), digest_size=2).digest(), "big") % BUCKETS


def weight(field: str, line: bytes) -> int:
    """Return what one group adds to its bucket's digest."""
    # No field holds a NUL: Kuma's names cannot, and it would only be mistaken for the end of another field.
    return int.from_bytes(blake2b(b"%b\0%b" % (field.encode(), line), digest_size=16).digest(), "big")


def total(weights: Iterable[int], start: int = 0) -> int:
    """Add to a digest; negative weights take away. The order does not matter, so both ends can follow changes."""
    return sum(weights, start) % _SPACE


def digest_of(content: Mapping[str, bytes]) -> int:
    """Return the digest of a whole bucket."""
    return total(weight(field, line) for field, line in content.items())


class Keys:
    """The names of everything.

    Args:
        prefix: what they begin with; all of one relay have the same.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.lease = f"{{{prefix}:lease}}"
        self.token = f"{{{prefix}:lease}}:token"
        self.every_channel = f"{{{prefix}:*}}:changes"
        """A pattern."""

    def head(self, bucket: int) -> str:
        """Return the key of a bucket's head."""
        return f"{{{self.prefix}:{bucket}}}:head"

    def groups(self, bucket: int) -> str:
        """Return the key of a bucket's content."""
        return f"{{{self.prefix}:{bucket}}}:groups"

    def log(self, bucket: int) -> str:
        """Return the key of a bucket's log."""
        return f"{{{self.prefix}:{bucket}}}:log"

    def channel(self, bucket: int) -> str:
        """Return the name of a bucket's channel."""
        return f"{{{self.prefix}:{bucket}}}:changes"

    def bucket(self, channel: bytes) -> int | None:
        """Return the bucket that a channel belongs to; None if it is another relay's, whose prefix begins with ours."""
        number = channel[len(self.prefix) + 2 : -len("}:changes")]
        return int(number) if number.isdigit() else None


def _escaped(name: str) -> str:
    return name.replace("%", "%25").replace("/", "%2F") if "/" in name or "%" in name else name
