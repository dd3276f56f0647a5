import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from kuma_sd.system.trust_rules import UntrustedError
from kuma_sd.system.trusted_files import is_trusted, open_code, open_trusted

STRANGER = 12345
"""A user that is neither root nor us."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="giving files to others needs root")

# The directories of usual deployments: a package's, OpenShift's, an emptyDir, one like /tmp, and a volume with fsGroup.
MODES = [0o750, 0o775, 0o777, 0o1777, 0o2775]


def written(path: Path, owner: int = -1, mode: int = 0o644) -> Path:
    path.write_text("content")
    path.chmod(mode)
    os.chown(path, owner, -1)
    return path


@pytest.mark.parametrize("mode", MODES)
def test_a_file_of_ours_is_believed_whoever_may_write_its_directory(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    with open_trusted(written(tmp_path / "file")) as file:
        assert file.read() == b"content"
    assert is_trusted(tmp_path / "file")


@needs_root
@pytest.mark.parametrize("mode", MODES)
def test_a_file_of_another_user_is_not_believed_whoever_may_write_its_directory(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    path = written(tmp_path / "file", STRANGER)
    with pytest.raises(UntrustedError) as caught:
        open_trusted(path)
    assert caught.value.strerror == f"{str(path)!r} belongs to another user (uid {STRANGER})"
    assert not is_trusted(path)


@needs_root
def test_the_owner_of_the_directory_is_not_believed_either(tmp_path: Path) -> None:
    os.chown(tmp_path, STRANGER, STRANGER)
    with pytest.raises(UntrustedError):
        open_trusted(written(tmp_path / "file", STRANGER))


def test_a_file_that_everybody_may_write_is_not_believed(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    with pytest.raises(UntrustedError, match="can be written by every user"):
        open_trusted(written(tmp_path / "file", mode=0o666))


def test_a_file_that_its_group_may_write_is_believed_since_we_give_it_to_that_group(tmp_path: Path) -> None:
    open_trusted(written(tmp_path / "file", mode=0o664)).close()


def test_where_all_files_have_the_same_permissions_these_say_nothing(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    open_trusted(written(tmp_path / "file", mode=0o777)).close()


@needs_root
def test_a_link_of_another_user_to_a_file_of_ours_is_not_followed(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    (tmp_path / "link").symlink_to(written(tmp_path / "file"))
    open_trusted(tmp_path / "link").close()
    os.chown(tmp_path / "link", STRANGER, STRANGER, follow_symlinks=False)
    with pytest.raises(UntrustedError, match="is a symbolic link that belongs to another user"):
        open_trusted(tmp_path / "link")
    assert not is_trusted(tmp_path / "link")


@needs_root
def test_what_we_make_on_a_file_system_that_shows_it_as_of_another_user_is_believed(tmp_path: Path) -> None:
    # A thread's user for the file system, unlike its effective user, owns what it makes: so it is with such an NFS.
    program = """
import ctypes, os, sys
from pathlib import Path
from kuma_sd.system.trusted_files import open_trusted
path = Path(sys.argv[1])
ctypes.CDLL(None).setfsuid(12345)
assert (os.geteuid(), path.stat().st_uid) == (0, 12345)
print(open_trusted(path).read().decode(), sorted(os.listdir(path.parent)))
"""
    written(tmp_path / "file", STRANGER)
    os.chown(tmp_path, STRANGER, STRANGER)
    # pytest's own directories, which are only its user's.
    for parent in tmp_path.parents:
        if parent.name.startswith(("pytest-", "popen-")):
            parent.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "file"], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("content ['file']\n", "")


def made(directory: Path, mode: int, owner: int = -1, group: int = -1) -> Path:
    directory.mkdir(parents=True)
    directory.chmod(mode)
    os.chown(directory, owner, group)
    return directory


def test_every_directory_above_counts(tmp_path: Path) -> None:
    opened = made(tmp_path / "open", 0o777)
    inner = made(opened / "inner", 0o755)
    with pytest.raises(UntrustedError, match=f"'{opened}' can be written by other users; run: chmod go-w {opened}"):
        open_code(written(inner / "file")).close()


def test_the_directories_of_a_link_on_the_way_count(tmp_path: Path) -> None:
    safe, opened = made(tmp_path / "safe", 0o755), made(tmp_path / "open", 0o777)
    written(safe / "file")
    (opened / "link").symlink_to(safe)
    (safe / "way").symlink_to(opened / "link")
    open_code(safe / "file").close()
    with pytest.raises(UntrustedError, match=f"'{opened}' can be written by other users"):
        open_code(safe / "way" / "file").close()


def test_a_directory_of_ours_in_one_with_a_sticky_bit_cannot_be_replaced(tmp_path: Path) -> None:
    sticky = made(tmp_path / "sticky", 0o1777)
    inner = made(sticky / "inner", 0o755)
    open_code(written(inner / "file")).close()
    with pytest.raises(UntrustedError, match=f"'{sticky}' can be written by other users"):
        open_code(written(sticky / "file")).close()
    (sticky / "link").symlink_to(inner)
    with pytest.raises(UntrustedError, match=f"'{sticky}' can be written by other users"):
        open_code(sticky / "link" / "file").close()


@needs_root
def test_a_directory_above_that_belongs_to_another_user_is_refused(tmp_path: Path) -> None:
    inner = made(made(tmp_path / "theirs", 0o755, STRANGER) / "inner", 0o755)
    with pytest.raises(UntrustedError, match=rf"'{tmp_path}/theirs' belongs to another user \(uid {STRANGER}\)"):
        open_code(written(inner / "file")).close()


@needs_root
def test_a_directory_that_the_group_of_root_may_write_is_trusted_as_in_containers(tmp_path: Path) -> None:
    inner = made(made(tmp_path / "app", 0o775, group=0) / "inner", 0o775, group=0)
    open_code(written(inner / "file")).close()
    os.chown(tmp_path / "app", -1, STRANGER)
    with pytest.raises(UntrustedError, match="can be written by other users"):
        open_code(inner / "file").close()


@needs_root
@pytest.mark.parametrize("place", ["file", "."])
def test_an_access_list_that_lets_others_write_is_seen_although_the_group_is_roots(tmp_path: Path, place: str) -> None:
    path = written(tmp_path / "file")
    tmp_path.chmod(0o755)
    open_code(path).close()
    # user::rwx, user:12345:rwx, group::r-x, mask::rwx, other::r-x (acl(5)); each entry is a tag, permissions and an id.
    entries = [(1, 7, -1), (2, 7, 12345), (4, 5, -1), (16, 7, -1), (32, 5, -1)]
    content = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    try:
        os.setxattr(tmp_path / place, "system.posix_acl_access", content)
    except OSError:
        pytest.skip("no access lists on this file system")
    with pytest.raises(UntrustedError, match="can be written by other users; run: chmod go-w"):
        open_code(path)
