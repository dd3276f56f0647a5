"""What is published of quarantined targets is known after a restart, and no longer once they can be converted."""

from pathlib import Path

import pytest
from waiting import eventually

from kuma_sd.core.model import Codec, Key
from kuma_sd.core.target_group import GroupKey, TargetGroup
from kuma_sd.state.directory import StateDirectory
from kuma_sd.state.file_names import QUARANTINED
from kuma_sd.state.quarantine_file import NONE_QUARANTINED, QuarantinedGroups, QuarantineFile
from kuma_sd.state.saver import State
from kuma_sd.system.threads import Threads

CODECS: dict[str, Codec] = {}

TWO = tuple(TargetGroup(GroupKey(Key("east", "default", "a", 0), place), b"line %d" % place) for place in range(2))


FILES = {"east": "east.2"}
ONE, BOTH = QuarantinedGroups({"file_sd": TWO}, FILES), QuarantinedGroups({"file_sd": TWO, "http_sd": TWO[:1]}, FILES)


def saved(directory: Path, *states: QuarantinedGroups) -> None:
    """Let a process save one after another, and stop."""
    state = State(directory)
    state.restore((), CODECS.__getitem__)
    for groups in states:
        state.save_quarantined(groups)
        state._note(state.mailbox.take(timeout=0))
        state._write(state._pending)
    state.close()
    state.run()


def found(directory: Path) -> QuarantinedGroups:
    state = State(directory)
    restored = state.restore((), CODECS.__getitem__)
    state._directory.release()
    return restored.quarantined


def test_groups_come_back_with_their_keys(tmp_path: Path) -> None:
    saved(tmp_path, BOTH)
    assert found(tmp_path) == BOTH
    assert (tmp_path / QUARANTINED).stat().st_mode & 0o777 == 0o600


def test_what_can_be_converted_again_is_known_no_longer(tmp_path: Path) -> None:
    saved(tmp_path, ONE, NONE_QUARANTINED)
    assert found(tmp_path) == NONE_QUARANTINED


def test_without_any_there_is_no_file(tmp_path: Path) -> None:
    saved(tmp_path, NONE_QUARANTINED)
    assert QUARANTINED not in {path.name for path in tmp_path.iterdir()}


def test_equal_groups_are_not_saved_again(tmp_path: Path) -> None:
    saved(tmp_path, ONE)
    before = (tmp_path / QUARANTINED).stat()
    saved(tmp_path, ONE)
    assert (tmp_path / QUARANTINED).stat() == before


def test_they_are_saved_again_where_the_directory_was_emptied(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.restore((), CODECS.__getitem__)
    state.save_quarantined(ONE)
    state._note(state.mailbox.take(timeout=0))
    state._write(())
    (tmp_path / QUARANTINED).unlink()
    state._quarantine.forget()
    state.close()
    state.run()
    assert found(tmp_path) == ONE


def test_a_deleted_file_is_written_again_though_nothing_else_is_missing_or_changes(
    tmp_path: Path, threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kuma_sd.state.saver.CHECK_SECONDS", 0.01)
    file = tmp_path / QUARANTINED
    state = State(tmp_path, pause=0.01)
    state.restore((), CODECS.__getitem__)
    threads.start("state", state)
    state.save_quarantined(ONE)
    eventually(file.exists, "it is saved")
    file.unlink()
    eventually(file.exists, "it is saved again")
    assert threads.stop(timeout=5) == []
    assert found(tmp_path) == ONE


def test_a_failure_ends_when_these_groups_are_saved_although_nothing_else_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = State(tmp_path)
    state.restore((), CODECS.__getitem__)
    (tmp_path / QUARANTINED).mkdir()
    state.save_quarantined(ONE)
    state._note(state.mailbox.take(timeout=0))
    state._write(())
    assert "Is a directory" in state.status.failing
    (tmp_path / QUARANTINED).rmdir()
    caplog.set_level("INFO")
    state._write(())
    assert state.status.failing == ""
    assert caplog.text.count("are saved again") == 1
    state.close()
    state.run()
    assert found(tmp_path) == ONE


@pytest.mark.parametrize("content", [b"", b"\0\0\0\0", b"four and more", b"\xff" * 100])
def test_a_damaged_file_is_logged_and_nothing_is_restored_from_it(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / QUARANTINED).write_bytes(content)
    assert found(tmp_path) == NONE_QUARANTINED
    assert "the saved groups of quarantined targets cannot be read" in caplog.text


def test_what_another_user_has_written_is_not_believed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    saved(tmp_path, ONE)
    (tmp_path / QUARANTINED).chmod(0o666)
    directory = StateDirectory(tmp_path)
    directory.claim()
    assert QuarantineFile(directory).read() == NONE_QUARANTINED
    directory.release()
    assert "can be written by" in caplog.text
