"""The file that holds a saved snapshot: read back whole, or not at all.

It begins with the line ``kuma-sd snapshot 1``: what it is, and the version of its format. Then frames follow::

    size of the payload: 8 bytes | checksum: 4 bytes | payload

Both numbers are little-endian. The checksum is the CRC-32 of everything so far that is payload, and of the first line,
so that a frame that is missing, repeated or moved is noticed like one that is damaged.

The payload of the first frame is a header in JSON: whose snapshot it is, where it came from, when it was received, and
how many assignments follow. Each further frame holds up to 256 of them in msgpack: an array of ``[[control plane, mesh,
name, ordinal], data, name of the codec]``. So neither writer nor reader ever has the whole file in memory.
"""

import functools
import os
import struct
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

import msgspec

from kuma_sd.core.model import Assignment, Codec, Key, LastGoodTargets, Snapshot

MAGIC = b"kuma-sd snapshot "
FIRST_LINE = MAGIC + b"1\n"

UNNAMED = "unnamed."
"""How the file of a control plane without a name begins; names have no dots, so that none looks like this."""

ASSIGNMENTS_IN_A_FRAME = 256
"""Small enough that the memory of one frame serves the next; larger ones are not faster."""

_FRAME = struct.Struct("<QI")

_DECODER = msgspec.msgpack.Decoder(list[tuple[Key, bytes, str]])


class _Header(msgspec.Struct):
    identity: str
    received: float
    assignments: int
    # Older versions of this program neither write these nor mind them.
    name: str | None = None
    endpoints: list[str] = []
    configured: list[str] = []


def write(
    snapshot: Snapshot, identity: str, endpoints: Iterable[str] = (), configured: Iterable[str] = ()
) -> Iterator[bytes]:
    """Yield the content of a file, in pieces of bounded size.

    Args:
        snapshot: what to save.
        identity: whose it is; reading asks for the same.
        endpoints: where it came from.
        configured: where the settings say that it comes from.
    """
    yield FIRST_LINE
    checksum = zlib.crc32(FIRST_LINE)
    for payload in _payloads(snapshot, identity, endpoints, configured):
        checksum = zlib.crc32(payload, checksum)
        yield _FRAME.pack(len(payload), checksum)
        yield payload


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
    frames = _frames(file)
    try:
        header = msgspec.json.decode(next(frames, b""), type=_Header)
        if header.name is None:
            header.name = "" if header.identity.startswith(UNNAMED) else header.identity
        name = header.name if control_plane is None else control_plane
        codec, assignments = functools.cache(codec), list[Assignment]()
        for payload in frames:
            assignments += _decode(payload, name, codec)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(f"is damaged: {error}") from error
    except KeyError as error:
        raise ValueError(f"holds assignments that this version cannot read: there is no codec {error}") from error
    if len(assignments) != header.assignments:
        raise ValueError(f"is cut off: {len(assignments)} of {header.assignments} assignments are in it")
    return header, assignments


def _payloads(
    snapshot: Snapshot, identity: str, endpoints: Iterable[str], configured: Iterable[str]
) -> Iterator[bytes]:
    assignments = snapshot.assignments
    places = sorted(endpoints), sorted(configured)
    yield msgspec.json.encode(_Header(identity, snapshot.received, len(assignments), snapshot.control_plane, *places))
    for start in range(0, len(assignments), ASSIGNMENTS_IN_A_FRAME):
        some = assignments[start : start + ASSIGNMENTS_IN_A_FRAME]
        yield msgspec.msgpack.encode([(assignment.key, assignment.data, assignment.codec.name) for assignment in some])


def _check_first_line(line: bytes) -> None:
    if line == FIRST_LINE:
        return
    version = line.removeprefix(MAGIC).removesuffix(b"\n")
    if line.startswith(MAGIC) and line.endswith(b"\n") and version.isdigit():
        raise ValueError(f"has format {version.decode()}, and this version of kuma-sd reads format 1")
    raise ValueError("is no saved snapshot, or its beginning is damaged")


def _frames(file: BinaryIO) -> Iterator[bytes]:
    position = file.tell()
    rest = file.seek(0, os.SEEK_END) - position
    file.seek(position)
    checksum = zlib.crc32(FIRST_LINE)
    while head := file.read(_FRAME.size):
        rest -= _FRAME.size
        # The size is compared with what there is before anything of that size is allocated.
        if len(head) < _FRAME.size or (size := _FRAME.unpack(head)[0]) > rest:
            raise ValueError("is cut off or damaged")
        rest -= size
        payload = file.read(size)
        checksum = zlib.crc32(payload, checksum)
        if checksum != _FRAME.unpack(head)[1]:
            raise ValueError("is damaged: a checksum is wrong")
        yield payload


def _decode(payload: bytes, control_plane: str, codec: Callable[[str], Codec]) -> list[Assignment]:
    return [
        # Interned as decoders do it, so that a name that stands in every key is there once.
        Assignment(Key(control_plane, sys.intern(key.mesh), key.name, key.ordinal), data, codec(codec_name))
        for key, data, codec_name in _DECODER.decode(payload)
    ]
