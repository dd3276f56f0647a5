"""What other users of the machine put into, or in place of, the state directory is not restored."""

import fcntl
import os
import stat
from pathlib import Path

import pytest

from kuma_sd.core.errors import KumaSDError
from kuma_sd.core.model import LastGoodTargets
from kuma_sd.state.directory import STOPPED
from kuma_sd.state.instance_directory import make_instance_directory
from kuma_sd.state.restorer import Restored
from kuma_sd.state.saver import State
from kuma_sd.testing import CODEC, snapshot

STRANGER = 65534
"""A user that is neither root nor us."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="giving files to others needs root")


def good(*names: str) -> LastGoodTargets:
    assignments = snapshot(*names, control_plane="east").assignments
    return LastGoodTargets("east", frozenset({"kuma:5676"}), assignments, 1.0, "east")


def start(state: State) -> Restored:
    return state.restore(["east"], {CODEC.name: CODEC}.__getitem__)


def run(directory: Path, *saved: LastGoodTargets) -> tuple[Restored, State]:
    """Run once, as a daemon that starts, saves and ends does."""
    state = State(directory)
    restored = start(state)
    for last_good in saved:
        state.save(last_good)
    state.close()
    state.run()
    return restored, state


# The directories of usual deployments: a package's, OpenShift's, an emptyDir, one like /tmp, and a volume with fsGroup.
@pytest.mark.parametrize("mode", [0o750, 0o775, 0o777, 0o1777, 0o2775])
def test_what_we_saved_is_restored_whoever_may_write_the_directory(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    run(tmp_path, good("a"))
    restored, _ = run(tmp_path)
    assert restored.last_good == (good("a"),)
    assert restored.exact


@needs_root
@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_a_snapshot_of_another_user_is_left_out_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int
) -> None:
    run(tmp_path, good("a"))
    tmp_path.chmod(mode)
    os.chown(tmp_path / "east.snapshot", STRANGER, STRANGER)
    restored, _ = run(tmp_path)
    assert restored.last_good == ()
    assert caplog.text.count("a saved snapshot is not believed") == 1
    assert f"east.snapshot' belongs to another user (uid {STRANGER})" in caplog.text
    assert (tmp_path / "east.snapshot").exists()


@needs_root
def test_a_mark_of_another_user_does_not_say_that_everything_was_saved(tmp_path: Path) -> None:
    run(tmp_path, good("a"))
    os.chown(tmp_path / STOPPED, STRANGER, STRANGER)
    restored, _ = run(tmp_path)
    assert not restored.exact


@needs_root
def test_a_lock_of_another_user_does_not_stop_saving(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tmp_path.chmod(0o1777)
    lock = tmp_path / "kuma-sd.lock"
    lock.touch()
    os.chown(lock, STRANGER, STRANGER)
    with lock.open() as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        _, state = run(tmp_path, good("a"))
        restored, _ = run(tmp_path)
    assert not state.status.failing
    assert restored.last_good == (good("a"),)
    assert "another user made the lock file" in caplog.text


@needs_root
def test_of_a_directory_of_another_user_only_our_files_are_believed_and_a_warning_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """So is a directory of the host that is mounted into a container, and open to all."""
    run(tmp_path, good("a"))
    tmp_path.chmod(0o777)
    for path in (tmp_path, tmp_path / "east.snapshot"):
        os.chown(path, STRANGER, STRANGER)
    restored, _ = run(tmp_path, good("b"))
    assert restored.last_good == ()
    restored, state = run(tmp_path)
    assert restored.last_good == (good("b"),)
    assert not state.status.failing
    said = f"""another user can remove what is saved; give the directory to kuma-sd reason="'{tmp_path}' belongs to"""
    assert caplog.text.count(said) == 2


@needs_root
def test_what_a_plugin_keeps_is_in_no_folder_of_another_user_whoever_owns_the_state_directory(tmp_path: Path) -> None:
    os.chown(tmp_path, STRANGER, STRANGER)
    made = make_instance_directory(tmp_path, "output", "summary")
    os.chown(made.parent, STRANGER, STRANGER)
    with pytest.raises(KumaSDError, match="plugins' belongs to another user"):
        make_instance_directory(tmp_path, "output", "summary")


@needs_root
def test_no_file_is_removed_through_a_link_of_another_user(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "east.snapshot.0123abcd.tmp").touch()
    directory = tmp_path / "state"
    directory.mkdir()
    (directory / ".kuma-sd").symlink_to(elsewhere)
    run(directory)
    assert (elsewhere / "east.snapshot.0123abcd.tmp").exists()


@needs_root
def test_a_link_of_another_user_to_a_directory_is_not_followed(tmp_path: Path) -> None:
    run(tmp_path / "real", good("a"))
    (tmp_path / "state").symlink_to("real")
    restored, _ = run(tmp_path / "state")
    assert restored.last_good == (good("a"),)
    os.chown(tmp_path / "state", STRANGER, STRANGER, follow_symlinks=False)
    restored, state = run(tmp_path / "state", good("b"))
    assert restored.last_good == ()
    assert "is a symbolic link that belongs to another user" in state.status.failing


def test_an_open_umask_makes_no_directory_that_others_may_write(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        run(tmp_path / "new" / "state", good("a"))
        make_instance_directory(tmp_path / "other" / "state", "output", "summary")
    finally:
        os.umask(before)
    for parent in ("new", "other"):
        made = (tmp_path / parent, tmp_path / parent / "state")
        assert [stat.S_IMODE(path.stat().st_mode) for path in made] == [0o755, 0o750]
    assert stat.S_IMODE((tmp_path / "new/state/east.snapshot").stat().st_mode) == 0o600


def test_a_hard_link_in_the_place_of_the_mark_of_a_stop_changes_nothing_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    state = State(tmp_path / "state")
    start(state)
    os.link(tmp_path / "precious", tmp_path / "state" / STOPPED)
    state.close()
    state.run()
    assert (tmp_path / "precious").read_text() == "precious"
    assert float((tmp_path / "state" / STOPPED).read_text()) > 0
