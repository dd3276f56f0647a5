import os
import stat
from pathlib import Path

import pytest

from kuma_sd.system.staging import STAGING, open_staging
from kuma_sd.system.trust_rules import UntrustedError

STRANGER = 12345
"""A user that is neither root nor us."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="giving files to others needs root")


def test_the_folder_is_made_for_us_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with open_staging(tmp_path / "file"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / STAGING).stat().st_mode) == 0o700


def test_a_file_in_a_staging_folder_is_staged_right_there(tmp_path: Path) -> None:
    with open_staging(tmp_path / STAGING / "file") as staging:
        assert os.path.samestat(staging.directory.status(), staging.folder.status())
    assert list((tmp_path / STAGING).iterdir()) == []


@needs_root
@pytest.mark.parametrize("place", [".", STAGING])
def test_a_folder_of_a_stranger_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / STAGING).mkdir()
    os.chown(tmp_path / STAGING, STRANGER, STRANGER)
    with (
        pytest.raises(UntrustedError, match=rf"belongs to another user \(uid {STRANGER}\), who could decide"),
        open_staging(tmp_path / place / "file"),
    ):
        pass


@needs_root
def test_a_folder_of_who_owns_the_directory_is_used_since_he_could_replace_the_file_anyway(tmp_path: Path) -> None:
    with open_staging(tmp_path / "sd" / "file"):
        pass
    for path in (tmp_path / "sd", tmp_path / "sd" / STAGING):
        os.chown(path, STRANGER, STRANGER)
    with open_staging(tmp_path / "sd" / "file"):
        pass


def test_a_link_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / STAGING).symlink_to(tmp_path / "elsewhere")
    with (
        pytest.raises(UntrustedError, match=r"is no directory, and belongs to uid \d+; remove it: rm "),
        open_staging(tmp_path / "file"),
    ):
        pass


@pytest.mark.parametrize("mode", [0o777, 0o755])
def test_a_folder_of_ours_that_others_may_write_or_enter_is_closed_to_them(tmp_path: Path, mode: int) -> None:
    (tmp_path / STAGING).mkdir()
    (tmp_path / STAGING).chmod(mode)
    with open_staging(tmp_path / "file"):
        pass
    assert stat.S_IMODE((tmp_path / STAGING).stat().st_mode) == 0o700


@needs_root
def test_a_folder_of_root_that_others_may_write_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / STAGING).mkdir()
    (tmp_path / STAGING).chmod(0o777)
    monkeypatch.setattr(os, "geteuid", lambda: STRANGER)
    with pytest.raises(UntrustedError, match="others may write"), open_staging(tmp_path / "file"):
        pass


@needs_root
def test_a_folder_of_the_user_that_kuma_sd_ran_as_before_is_said_with_what_to_run(tmp_path: Path) -> None:
    """As on a volume that its group may write, after another ``runAsUser``."""
    volume = tmp_path / "volume"
    with open_staging(volume / "file"):
        pass
    for path in (volume, volume / STAGING):
        os.chown(path, 23456, 23456)
    volume.chmod(0o2777)
    # pytest's own directories, which are only its user's.
    for parent in [tmp_path, *tmp_path.parents[:-1]]:
        parent.chmod(parent.stat().st_mode | 0o755)
    said = rf"{STAGING}' belongs to another user \(uid 23456\).*run: chown -R {STRANGER} {volume}/{STAGING}"
    os.seteuid(STRANGER)
    try:
        with pytest.raises(UntrustedError, match=said), open_staging(volume / "file"):
            pass
    finally:
        os.seteuid(0)
