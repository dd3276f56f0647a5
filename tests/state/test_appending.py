"""Changes are appended to a saved snapshot; whatever is read back is what was saved once, as a whole."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kuma_sd import Assignment
from kuma_sd.core.model import LastGoodTargets
from kuma_sd.state import snapshot_file
from kuma_sd.state.appending import SMALLEST_LIMIT, AppendedFile
from kuma_sd.system.directories import open_directory
from kuma_sd.system.durable_file import replace_file
from kuma_sd.testing import CODEC, assignment

MANY = [assignment(f"backend-{number:04}") for number in range(1000)]


def last_good(assignments: Sequence[Assignment], received: float = 1.0, endpoint: str = "") -> LastGoodTargets:
    return LastGoodTargets("", frozenset({endpoint} - {""}), assignments, received, "unnamed.0")


def begun(path: Path, first: LastGoodTargets) -> AppendedFile:
    checksums: list[int] = []
    content = snapshot_file.write_last_good(first, "unnamed.0", checksums.append)
    return AppendedFile(path.name, replace_file(path, content), checksums[-1], first)


def append(file: AppendedFile, path: Path) -> bool:
    with open_directory(path.parent) as directory:
        return file.append(directory)


def read(path: Path) -> LastGoodTargets:
    with path.open("rb") as file:
        return snapshot_file.read_last_good(file, "unnamed.0", {CODEC.name: CODEC}.__getitem__)


@settings(max_examples=30, deadline=None)
@given(
    rounds=st.lists(st.dictionaries(st.integers(0, 20), st.integers(0, 2)), min_size=2, max_size=6),
    at_once=st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_what_was_saved_last_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[dict[int, int]], at_once: list[bool]
) -> None:
    path = tmp_path_factory.mktemp("state") / "a.snapshot"
    known: dict[tuple[int, int], Assignment] = {}

    def saved(number: int, versions: dict[int, int]) -> LastGoodTargets:
        # An unchanged assignment is the same object in the next round.
        present = (
            known.setdefault(item, assignment(f"b-{item[0]:02}", labels={"version": str(item[1])}))
            for item in versions.items()
        )
        return last_good(sorted(present), float(number))

    file = begun(path, saved(0, rounds[0]))
    for number, (versions, waits) in enumerate(zip(rounds[1:], at_once, strict=False), 1):
        newest = saved(number, versions)
        assert file.note(newest)
        if not waits:
            append(file, path)
            assert list(read(path).assignments) == list(newest.assignments)
    append(file, path)
    assert list(read(path).assignments) == list(newest.assignments)


def appended_bytes(file: AppendedFile, path: Path, newest: LastGoodTargets) -> int:
    """Append what changed, and return by how much the file has grown."""
    before = path.stat()
    assert file.note(newest)
    assert append(file, path)
    after = path.stat()
    assert after.st_ino == before.st_ino
    return after.st_size - before.st_size


def test_one_change_among_a_thousand_appends_that_one(tmp_path: Path) -> None:
    path = tmp_path / "a.snapshot"
    file = begun(path, last_good(MANY))
    changed = [*MANY[:500], assignment("backend-0500", labels={"version": "2"}), *MANY[501:]]
    assert 0 < appended_bytes(file, path, last_good(changed, 2.0)) < 1000
    assert read(path).received == 2.0
    # Nothing to append is no reason to take the file for right.
    assert file.note(last_good(changed, 3.0))
    assert not append(file, path)


def test_a_contact_that_goes_on_appends_nothing_but_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.snapshot"
    file = begun(path, last_good(MANY))
    assert 0 < appended_bytes(file, path, replace(last_good(MANY, 2.0), contact_until=1234.5)) < 64
    assert read(path).contact_until == 1234.5
    # That it is not known any more is news too.
    assert file.note(last_good(MANY, 2.0))
    assert append(file, path)
    assert read(path) == last_good(MANY, 2.0)


def test_changes_that_an_older_version_appended_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.snapshot"
    checksums: list[int] = []
    content = b"".join(snapshot_file.write_last_good(last_good(MANY[:3]), "unnamed.0", checksums.append))
    payload = msgspec.msgpack.encode((2.0, [MANY[0].key], []))
    path.write_bytes(content + snapshot_file.frames([payload], checksums[-1])[1])
    assert read(path) == last_good(MANY[1:3], 2.0)


def test_a_file_that_is_cut_off_while_it_is_appended_to_is_what_it_was_before(tmp_path: Path) -> None:
    path = tmp_path / "a.snapshot"
    states = [MANY[:10], MANY[:11], MANY[1:11]]
    file, sizes = begun(path, last_good(states[0])), [path.stat().st_size]
    for state in states[1:]:
        assert file.note(last_good(state))
        assert append(file, path)
        sizes.append(path.stat().st_size)
    content = path.read_bytes()
    for length in range(len(content) + 1):
        path.write_bytes(content[:length])
        if length < sizes[0]:
            with pytest.raises(ValueError, match=r"cut off|is no saved snapshot|damaged"):
                read(path)
            continue
        whole = sum(length >= size for size in sizes) - 1
        assert list(read(path).assignments) == states[whole], length
        # As a file system leaves it whose blocks were never written.
        path.write_bytes(content[: sizes[whole]] + bytes(100))
        assert list(read(path).assignments) == states[whole]


def test_a_flipped_bit_makes_it_an_older_state_or_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "a.snapshot"
    states = [MANY[:3], MANY[:4], MANY[1:4]]
    file = begun(path, last_good(states[0]))
    for state in states[1:]:
        assert file.note(last_good(state))
        assert append(file, path)
    content = path.read_bytes()
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :])
        try:
            found = list(read(path).assignments)
        except ValueError:
            continue
        assert found in states


@pytest.mark.parametrize("how", ["replaced", "longer", "gone", "pipe", "link"])
def test_a_file_that_is_not_as_it_was_left_is_not_appended_to(tmp_path: Path, how: str) -> None:
    path = tmp_path / "a.snapshot"
    file = begun(path, last_good(MANY))
    content = path.read_bytes()
    if how == "longer":
        path.write_bytes(content + b"x")
    else:
        path.rename(tmp_path / "other")
    if how == "replaced":
        path.write_bytes(content)
    elif how == "pipe":
        os.mkfifo(path)
    elif how == "link":
        path.symlink_to("other")
    assert file.note(last_good(MANY[1:]))
    assert not append(file, path)
    assert (tmp_path / "other").exists() == (how != "longer")
    if how != "longer":
        assert (tmp_path / "other").read_bytes() == content


def test_much_that_changed_is_not_appended(tmp_path: Path) -> None:
    file = begun(tmp_path / "a.snapshot", last_good(MANY))
    assert not file.note(last_good([assignment(f"other-{number:04}") for number in range(1000)]))
    file = begun(tmp_path / "b.snapshot", last_good(MANY))
    assert not file.note(last_good(MANY[1:], endpoint="grpc://192.0.2.1:5676"))
    path, appended = tmp_path / "c.snapshot", 0
    file = begun(path, last_good(MANY[:5]))
    for number in range(10_000):
        if not file.note(last_good([*MANY[:4], assignment("z", labels={"version": f"{number:05000}"})])):
            break
        append(file, path)
        appended = path.stat().st_size
    assert SMALLEST_LIMIT * 0.9 < appended < SMALLEST_LIMIT * 1.1
