"""A saved snapshot is read back whole, or not at all."""

import io
import zlib
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kuma_sd import Assignment, Codec, Key, Snapshot
from kuma_sd.state import snapshot_file
from kuma_sd.testing import CODEC, assignment, snapshot

CODECS = {CODEC.name: CODEC}
WHOLE = snapshot(*(f"backend-{number}" for number in range(600)), received=1234.5)


def written(one: Snapshot, identity: str = "east") -> bytes:
    return b"".join(snapshot_file.write(one, identity))


def read(data: bytes, identity: str = "east", control_plane: str = "") -> Snapshot:
    return snapshot_file.read(io.BytesIO(data), identity, control_plane, CODECS.__getitem__)


def framed(*payloads: bytes) -> bytes:
    """Return a file with these payloads, and right checksums."""
    file, checksum = snapshot_file.FIRST_LINE, zlib.crc32(snapshot_file.FIRST_LINE)
    for payload in payloads:
        checksum = zlib.crc32(payload, checksum)
        file += snapshot_file._FRAME.pack(len(payload), checksum) + payload
    return file


BYTES = written(WHOLE)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
KEYS = st.builds(Key, control_plane=st.just(""), mesh=TEXTS, name=TEXTS, ordinal=st.integers(0, 2**40))
ASSIGNMENTS = st.lists(st.builds(Assignment, key=KEYS, data=st.binary(), codec=st.just(CODEC)))


@given(ASSIGNMENTS, st.floats(0, 4e9))
def test_what_was_written_is_read_back_and_belongs_to_no_connection(
    assignments: Sequence[Assignment], received: float
) -> None:
    back = read(written(Snapshot("", assignments, received, connected=5.0)))
    assert back == Snapshot("", assignments, received, connected=float("-inf"))


def test_several_frames_are_put_together_in_order() -> None:
    assert len(WHOLE.assignments) > 2 * snapshot_file.ASSIGNMENTS_IN_A_FRAME
    assert read(BYTES).assignments == WHOLE.assignments


def test_it_is_written_in_pieces_of_bounded_size() -> None:
    assert max(map(len, snapshot_file.write(WHOLE, "east"))) < len(BYTES) / 2


def test_a_tuple_of_assignments_is_as_good_as_a_list() -> None:
    assert written(Snapshot("", tuple(WHOLE.assignments), 1234.5, 0.0)) == BYTES


def test_it_becomes_a_snapshot_of_the_control_plane_that_is_asked_for() -> None:
    back = read(BYTES, control_plane="east")
    assert back.control_plane == "east"
    assert {entry.key.control_plane for entry in back.assignments} == {"east"}


def test_the_name_of_a_mesh_is_there_once() -> None:
    assert len({id(entry.key.mesh) for entry in read(BYTES).assignments}) == 1


def test_each_codec_is_asked_for_once() -> None:
    asked = []

    def codec(name: str) -> Codec:
        asked.append(name)
        return CODEC

    snapshot_file.read(io.BytesIO(BYTES), "east", "", codec)
    assert asked == [CODEC.name]


def test_another_control_planes_file_is_refused() -> None:
    with pytest.raises(ValueError, match="holds the targets of another control plane, 'west'"):
        read(written(WHOLE, "west"))


def test_a_later_format_is_refused_by_its_version() -> None:
    with pytest.raises(ValueError, match="has format 23, and this version of kuma-sd reads format 1"):
        read(BYTES.replace(b"snapshot 1", b"snapshot 23", 1))


def test_a_codec_that_is_not_known_any_more_is_named() -> None:
    with pytest.raises(ValueError, match="cannot read: there is no codec 'testing'"):
        snapshot_file.read(io.BytesIO(BYTES), "east", "", dict[str, Codec]().__getitem__)


@pytest.mark.parametrize("data", [b"", b"\n", b"[]", b"kuma-sd", b"kuma-sd snapshot x\n", bytes(100)])
def test_a_foreign_file_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="is no saved snapshot"):
        read(data)


@given(st.binary() | st.binary().map(lambda rest: snapshot_file.FIRST_LINE + rest))
def test_no_bytes_are_taken_for_a_snapshot(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"^(is|has|holds) "):
        read(data)


HEADER = msgspec.json.encode({"identity": "east", "received": 0, "assignments": 1})


@given(st.lists(st.binary(), min_size=1) | st.lists(st.binary(), min_size=1).map(lambda payloads: [HEADER, *payloads]))
@example([HEADER, b"\xdd\xff\xff\xff\xff"])  # says that it holds four billion
@example([HEADER, b"\x91\x93\x94\xa0\xa1\xff\xa0\x00\xc4\x00\xa7testing"])  # no Unicode
def test_payloads_that_mean_nothing_are_refused_even_with_right_checksums(payloads: list[bytes]) -> None:
    with pytest.raises(ValueError, match=r"^is "):
        read(framed(*payloads))


@given(st.integers(0, len(BYTES) - 1))
def test_whatever_is_cut_off_is_noticed(length: int) -> None:
    with pytest.raises(ValueError, match=r"^is "):
        read(BYTES[:length])


def test_a_frame_that_is_missing_repeated_or_moved_is_noticed() -> None:
    pieces = list(snapshot_file.write(WHOLE, "east"))
    line, header, *frames = pieces[0], *(b"".join(pieces[at : at + 2]) for at in range(1, len(pieces), 2))
    assert b"".join([line, header, *frames]) == BYTES
    for wrong in (frames[1:], frames[:-1], [*frames, frames[-1]], frames[::-1], [frames[0], *frames]):
        with pytest.raises(ValueError, match=r"^is "):
            read(b"".join([line, header, *wrong]))


@given(st.integers(0, 8 * len(BYTES) - 1))
def test_every_bit_flip_is_noticed(bit: int) -> None:
    damaged = bytearray(BYTES)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ValueError, match=r"^(is|has|holds) "):
        read(bytes(damaged))


# At the end they may be half of a change that was appended, see test_appending.py.
@given(st.integers(0, len(BYTES) - 1), st.binary(min_size=1))
def test_bytes_that_slipped_in_are_noticed(place: int, more: bytes) -> None:
    with pytest.raises(ValueError, match=r"^(is|has|holds) "):
        read(BYTES[:place] + more + BYTES[place:])


def test_a_size_is_not_believed_before_it_is_compared_with_the_file() -> None:
    frame = snapshot_file._FRAME.pack(2**62, 0)
    with pytest.raises(ValueError, match="is cut off or damaged"):
        read(snapshot_file.FIRST_LINE + frame + b"{}")


def test_an_empty_snapshot_is_one() -> None:
    assert read(written(snapshot(received=7.0))) == snapshot(received=7.0, connected=float("-inf"))


def test_a_large_assignment_is_no_problem() -> None:
    large = snapshot(assignment("a", labels={"x": "y" * 5_000_000}))
    assert read(written(large)).assignments == large.assignments
