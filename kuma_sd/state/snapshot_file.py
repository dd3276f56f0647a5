"""Write and read the file of a saved snapshot, which is read back whole or not at all.

It begins with the line ``kuma-sd snapshot 1``, which ends with the version of the format. Then frames follow::

    size of the payload: 8 bytes | checksum: 4 bytes | payload

Both numbers are little-endian. The checksum is the CRC-32 of the first line and all payloads so far, so that it also
detects frames that are missing, repeated or moved.

The payload of the first frame is a header in JSON: the control plane's identity and endpoints, when the snapshot was
received, and the number of assignments. Each further frame holds up to 256 assignments in msgpack: an array of
``[[control plane, mesh, name, ordinal], data, name of the codec]``. So neither writer nor reader ever has the whole
file in memory.

After them, frames of changes may follow, each ``[received, removed keys, new assignments, until when there may have
been contact]`` in msgpack. They are appended one by one; an incomplete last one, left by a process that was killed, is
ignored. Any other damage makes the whole file unreadable.
"""

import functools
import os
import struct
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

import msgspec
from msgspec.structs import replace

from kuma_sd.core.decoding_errors import UNREADABLE
from kuma_sd.core.model import Assignment, Codec, Key, LastGoodTargets, Snapshot

MAGIC = b"kuma-sd snapshot "
FIRST_LINE = MAGIC + b"1\n"

UNNAMED = "unnamed."
"""Beginning of the file name of a control plane without a name; names have no dots, so none is equal to it."""

ASSIGNMENTS_IN_A_FRAME = 256
"""Number of assignments in a frame; small enough to reuse the memory of a frame, and larger ones are not faster."""

_FRAME = struct.Struct("<QI")


_Coded = list[tuple[Key, bytes, str]]


class _Change(msgspec.Struct, array_like=True):
    received: float
    gone: list[Key]
    new: _Coded
    # Older versions do not write it, and ignore it.
    contact_until: float | None = None


_DECODER = msgspec.msgpack.Decoder(_Coded)
_CHANGE_DECODER = msgspec.msgpack.Decoder(_Change)


class _Header(msgspec.Struct):
    identity: str
    received: float
    assignments: int
    # Older versions do not write these fields, and ignore them.
    name: str | None = None
    endpoints: list[str] = []
    configured: list[str] = []
    published_as: str | None = None
    contact_until: float | None = None


def write(snapshot: Snapshot, identity: str) -> Iterator[bytes]:
    """Yield the content of a file with a snapshot, in pieces of bounded size.

    Args:
        snapshot: the snapshot to save.
        identity: identifies the control plane; `read()` compares it.
    """
    last_good = LastGoodTargets(snapshot.control_plane, frozenset(), snapshot.assignments, snapshot.received)
    return write_last_good(last_good, identity, lambda _checksum: None)


def write_last_good(last_good: LastGoodTargets, identity: str, done: Callable[[int], None]) -> Iterator[bytes]:
    """Yield the content of a file with last good targets, as `write()` does.

    Args:
        last_good: the targets to save.
        identity: identifies the control plane.
        done: called at the end with the checksum, from which `frames()` continues.
    """
    yield FIRST_LINE
    checksum = zlib.crc32(FIRST_LINE)
    for payload in _payloads(last_good, identity):
        checksum = zlib.crc32(payload, checksum)
        yield _FRAME.pack(len(payload), checksum)
        yield payload
    done(checksum)


def change(
    gone: Iterable[Assignment], new: Iterable[Assignment], received: float, contact_until: float | None
) -> bytes:
    """Encode a change as a payload.

    Args:
        gone: the assignments that were removed, and the old form of those that changed.
        new: the assignments that were added, and the new form of those that changed.
        received: when the newest response came, in seconds of ``time.time()``.
        contact_until: until when there may have been contact, in seconds of ``time.time()``; None if not known.
    """
    return msgspec.msgpack.encode((received, [assignment.key for assignment in gone], _encodable(new), contact_until))


def frames(payloads: Iterable[bytes], checksum: int) -> tuple[int, bytes]:
    """Encode payloads as frames to append; returns the checksum after them, and the frames.

    Args:
        payloads: payloads that `change()` returned.
        checksum: the checksum of the file so far.
    """
    content = []
    for payload in payloads:
        checksum = zlib.crc32(payload, checksum)
        content += [_FRAME.pack(len(payload), checksum), payload]
    return checksum, b"".join(content)


def read(file: BinaryIO, identity: str | None, control_plane: str, codec: Callable[[str], Codec]) -> Snapshot:
    """Read a snapshot back.

    Args:
        file: the open file.
        identity: the expected identity of the control plane; None for any.
        control_plane: the name to give the snapshot's control plane.
        codec: returns the codec of a name; raises KeyError for an unknown one.

    Returns:
        The snapshot, which belongs to no connection: its ``connected`` lies infinitely far back.

    Raises:
        ValueError: the file does not hold a complete snapshot of this control plane; the message continues a sentence
            that begins with the file's name.
        OSError: the file cannot be read.
    """
    header, assignments = _read(file, control_plane, codec)
    if identity not in (None, header.identity):
        raise ValueError(f"holds the targets of another control plane, {header.identity!r}")
    return Snapshot(control_plane, assignments, header.received, connected=float("-inf"))


def read_last_good(file: BinaryIO, name: str, codec: Callable[[str], Codec]) -> LastGoodTargets:
    """Read back the last good targets of any control plane.

    Args:
        file: the open file.
        name: the part of the file's name that identifies the control plane.
        codec: returns the codec of a name; raises KeyError for an unknown one.

    Raises:
        ValueError: as for `read()`.
        OSError: the file cannot be read.
    """
    header, assignments = _read(file, None, codec)
    return LastGoodTargets(
        header.name or "",
        frozenset(header.endpoints),
        assignments,
        header.received,
        name,
        frozenset(header.configured),
        header.published_as,
        header.contact_until,
    )


def _read(file: BinaryIO, control_plane: str | None, codec: Callable[[str], Codec]) -> tuple[_Header, list[Assignment]]:
    _check_first_line(file.readline(len(FIRST_LINE) + 8))
    frames = _Frames(file)
    try:
        header = msgspec.json.decode(next(frames, b""), type=_Header)
        if header.name is None:
            header.name = "" if header.identity.startswith(UNNAMED) else header.identity
        name = header.name if control_plane is None else control_plane
        codec, assignments = functools.cache(codec), list[Assignment]()
        while len(assignments) < header.assignments and (payload := next(frames, None)) is not None:
            assignments += _decode(_DECODER.decode(payload), name, codec)
        if len(assignments) != header.assignments:
            raise ValueError(f"is cut off: {len(assignments)} of {header.assignments} assignments are in it")
        frames.may_end_early = True
        changes = [_CHANGE_DECODER.decode(payload) for payload in frames]
        return _changed(header, changes), _after(changes, assignments, name, codec)
    except UNREADABLE as error:
        raise ValueError(f"is damaged: {error}") from error
    except KeyError as error:
        raise ValueError(f"holds assignments that this version cannot read: there is no codec {error}") from error


def _changed(header: _Header, changes: list[_Change]) -> _Header:
    if not changes:
        return header
    return replace(header, received=changes[-1].received, contact_until=changes[-1].contact_until)


def _after(
    changes: list[_Change], assignments: list[Assignment], control_plane: str, codec: Callable[[str], Codec]
) -> list[Assignment]:
    """Apply the appended changes to the assignments."""
    if not changes:
        return assignments
    present = {assignment.key: assignment for assignment in assignments}
    for each in changes:
        for key in each.gone:
            present.pop(replace(key, control_plane=control_plane), None)
        present.update((assignment.key, assignment) for assignment in _decode(each.new, control_plane, codec))
    return [present[key] for key in sorted(present)]


def _payloads(last_good: LastGoodTargets, identity: str) -> Iterator[bytes]:
    assignments = last_good.assignments
    yield msgspec.json.encode(
        _Header(
            identity,
            last_good.received,
            len(assignments),
            last_good.name,
            sorted(last_good.endpoints),
            sorted(last_good.configured),
            last_good.published_as,
            last_good.contact_until,
        )
    )
    for start in range(0, len(assignments), ASSIGNMENTS_IN_A_FRAME):
        some = assignments[start : start + ASSIGNMENTS_IN_A_FRAME]
        yield msgspec.msgpack.encode(_encodable(some))


def _encodable(assignments: Iterable[Assignment]) -> list[tuple[Key, bytes, str]]:
    return [(assignment.key, assignment.data, assignment.codec.name) for assignment in assignments]


def _check_first_line(line: bytes) -> None:
    if line == FIRST_LINE:
        return
    version = line.removeprefix(MAGIC).removesuffix(b"\n")
    if line.startswith(MAGIC) and line.endswith(b"\n") and version.isdigit():
        raise ValueError(f"has format {version.decode()}, and this version of kuma-sd reads format 1")
    raise ValueError("is no saved snapshot, or its beginning is damaged")


class _Frames:
    """Iterates over the payloads of a file; each is checked before it is returned.

    Args:
        file: the open file.
    """

    def __init__(self, file: BinaryIO) -> None:
        position = file.tell()
        self._rest = file.seek(0, os.SEEK_END) - position
        file.seek(position)
        self._file = file
        self._checksum = zlib.crc32(FIRST_LINE)
        # Whether an incomplete frame is the end of the file: a process may be killed while it appends.
        self.may_end_early = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        head = self._file.read(_FRAME.size)
        self._rest -= len(head)
        if not head or (self.may_end_early and not any(head)):
            raise StopIteration
        # Compare the size with the rest of the file before allocating memory of that size.
        if len(head) < _FRAME.size or (size := _FRAME.unpack(head)[0]) > self._rest:
            if self.may_end_early:
                raise StopIteration
            raise ValueError("is cut off or damaged")
        self._rest -= size
        payload = self._file.read(size)
        self._checksum = zlib.crc32(payload, self._checksum)
        if self._checksum != _FRAME.unpack(head)[1]:
            raise ValueError("is damaged: a checksum is wrong")
        return payload


def _decode(assignments: _Coded, control_plane: str, codec: Callable[[str], Codec]) -> list[Assignment]:
    return [
        # Interned as decoders do, so that a name in many keys is in memory once.
        Assignment(Key(control_plane, sys.intern(key.mesh), key.name, key.ordinal), data, codec(codec_name))
        for key, data, codec_name in assignments
    ]
