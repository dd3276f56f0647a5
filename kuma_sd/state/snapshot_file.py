"""The file that holds a saved snapshot: read back whole, or not at all.

It begins with the line ``kuma-sd snapshot 1``: what it is, and the version of its format. Then frames follow::

    size of the payload: 8 bytes | checksum: 4 bytes | payload

Both numbers are little-endian. The checksum is the CRC-32 of everything so far that is payload, and of the first line,
so that a frame that is missing, repeated or moved is noticed like one that is damaged.

The payload of the first frame is a header in JSON: whose snapshot it is, where it came from, when it was received, and
how many assignments follow. Each further frame holds up to 256 of them in msgpack: an array of ``[[control plane, mesh,
name, ordinal], data, name of the codec]``. So neither writer nor reader ever has the whole file in memory.

After the last of them may stand frames of changes, each ``[received, keys that are gone, assignments that are new]`` in
msgpack: they are appended one by one, so that a process that is killed may leave half of the last one, which does not
count. Everything else that is not right makes the whole file unreadable.
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

from kuma_sd.core.model import Assignment, Codec, Key, LastGoodTargets, Snapshot

MAGIC = b"kuma-sd snapshot "
FIRST_LINE = MAGIC + b"1\n"

UNNAMED = "unnamed."
"""How the file of a control plane without a name begins; names have no dots, so that none looks like this."""

ASSIGNMENTS_IN_A_FRAME = 256
"""Small enough that the memory of one frame serves the next; larger ones are not faster."""

_FRAME = struct.Struct("<QI")


_Coded = list[tuple[Key, bytes, str]]


class _Change(msgspec.Struct, array_like=True):
    received: float
    gone: list[Key]
    new: _Coded


_DECODER = msgspec.msgpack.Decoder(_Coded)
_CHANGE_DECODER = msgspec.msgpack.Decoder(_Change)


class _Header(msgspec.Struct):
    identity: str
    received: float
    assignments: int
    # Older versions of this program neither write these nor mind them.
    name: str | None = None
    endpoints: list[str] = []
    configured: list[str] = []


def write(
    snapshot: Snapshot,
    identity: str,
    endpoints: Iterable[str] = (),
    configured: Iterable[str] = (),
    done: Callable[[int], None] = lambda _checksum: None,
) -> Iterator[bytes]:
    """Yield the content of a file, in pieces of bounded size.

    Args:
        snapshot: what to save.
        identity: whose it is; reading asks for the same.
        endpoints: where it came from.
        configured: where the settings say that it comes from.
        done: called at the end with the checksum, which `frames()` goes on from.
    """
    yield FIRST_LINE
    checksum = zlib.crc32(FIRST_LINE)
    for payload in _payloads(snapshot, identity, endpoints, configured):
        checksum = zlib.crc32(payload, checksum)
        yield _FRAME.pack(len(payload), checksum)
        yield payload
    done(checksum)


def write_last_good(last_good: LastGoodTargets, identity: str, done: Callable[[int], None]) -> Iterator[bytes]:
    """Yield the content of a file with what is saved of a control plane, as `write()` does."""
    snapshot = Snapshot(last_good.name, last_good.assignments, last_good.received, 0.0)
    return write(snapshot, identity, last_good.endpoints, last_good.configured, done)


def change(gone: Iterable[Assignment], new: Iterable[Assignment], received: float) -> bytes:
    """Return the payload of a change.

    Args:
        gone: what is not there any more, or not as it was.
        new: what came, and how what changed is now.
        received: when the newest answer came, in seconds of ``time.time()``.
    """
    return msgspec.msgpack.encode((received, [assignment.key for assignment in gone], _encodable(new)))


def frames(payloads: Iterable[bytes], checksum: int) -> tuple[int, bytes]:
    """Return what is appended for these payloads, and the checksum after it.

    Args:
        payloads: what `change()` returned.
        checksum: that of everything in the file so far.
    """
    content = []
    for payload in payloads:
        checksum = zlib.crc32(payload, checksum)
        content += [_FRAME.pack(len(payload), checksum), payload]
    return checksum, b"".join(content)


def read(file: BinaryIO, identity: str | None, control_plane: str, codec: Callable[[str], Codec]) -> Snapshot:
    """Read a snapshot back.

    Args:
        file: where it is.
        identity: whose it must be; None for anybody's.
        control_plane: the name of the control plane that it becomes the snapshot of.
        codec: returns the codec of a name; raises KeyError for an unknown one.

    Returns:
        The snapshot, which belongs to no connection: its ``connected`` lies infinitely far back.

    Raises:
        ValueError: the file does not hold such a snapshot, or not all of it; the reason follows its name in a sentence.
        OSError: it cannot be read.
    """
    header, assignments = _read(file, control_plane, codec)
    if identity not in (None, header.identity):
        raise ValueError(f"holds the targets of another control plane, {header.identity!r}")
    return Snapshot(control_plane, assignments, header.received, connected=float("-inf"))


def read_last_good(file: BinaryIO, name: str, codec: Callable[[str], Codec]) -> LastGoodTargets:
    """Read back what was saved of a control plane, whichever it is.

    Args:
        file: where it is.
        name: the name of the file, as far as it says whose it is.
        codec: returns the codec of a name; raises KeyError for an unknown one.

    Raises:
        ValueError: as for read().
        OSError: it cannot be read.
    """
    header, assignments = _read(file, None, codec)
    endpoints, configured = frozenset(header.endpoints), frozenset(header.configured)
    return LastGoodTargets(header.name or "", endpoints, assignments, header.received, name, configured)


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
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(f"is damaged: {error}") from error
    except KeyError as error:
        raise ValueError(f"holds assignments that this version cannot read: there is no codec {error}") from error


def _changed(header: _Header, changes: list[_Change]) -> _Header:
    return replace(header, received=changes[-1].received) if changes else header


def _after(
    changes: list[_Change], assignments: list[Assignment], control_plane: str, codec: Callable[[str], Codec]
) -> list[Assignment]:
    """Return the assignments after the changes that were appended."""
    if not changes:
        return assignments
    present = {assignment.key: assignment for assignment in assignments}
    for each in changes:
        for key in each.gone:
            present.pop(replace(key, control_plane=control_plane), None)
        present.update((assignment.key, assignment) for assignment in _decode(each.new, control_plane, codec))
    return [present[key] for key in sorted(present)]


def _payloads(
    snapshot: Snapshot, identity: str, endpoints: Iterable[str], configured: Iterable[str]
) -> Iterator[bytes]:
    assignments = snapshot.assignments
    places = sorted(endpoints), sorted(configured)
    yield msgspec.json.encode(_Header(identity, snapshot.received, len(assignments), snapshot.control_plane, *places))
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
    """The payloads of a file, each checked before it is handed out.

    Args:
        file: where they are.
    """

    def __init__(self, file: BinaryIO) -> None:
        position = file.tell()
        self._rest = file.seek(0, os.SEEK_END) - position
        file.seek(position)
        self._file = file
        self._checksum = zlib.crc32(FIRST_LINE)
        # Whether what is not whole is the end, because a process was killed while it appended.
        self.may_end_early = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        head = self._file.read(_FRAME.size)
        self._rest -= len(head)
        if not head or (self.may_end_early and not any(head)):
            raise StopIteration
        # The size is compared with what there is before anything of that size is allocated.
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
        # Interned as decoders do it, so that a name that stands in every key is there once.
        Assignment(Key(control_plane, sys.intern(key.mesh), key.name, key.ordinal), data, codec(codec_name))
        for key, data, codec_name in assignments
    ]
