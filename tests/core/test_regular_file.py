import errno
import os
from pathlib import Path

import pytest

from kuma_sd.core.regular_file import open_regular, read_regular


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "link") == b"content"


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    assert read_regular(tmp_path / "file", limit=7) == b"content"
    with pytest.raises(OSError, match="Larger than 6 bytes"):
        read_regular(tmp_path / "file", limit=6)


@pytest.mark.parametrize("name", ["pipe", "directory", "device"])
def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "directory").mkdir()
    (tmp_path / "device").symlink_to("/dev/tty")
    with pytest.raises(OSError) as caught:  # noqa: PT011 (its number says it)
        open_regular(tmp_path / name)
    assert caught.value.errno in (errno.EINVAL, errno.EISDIR)


def test_no_file_without_an_end_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.truncate(tmp_path / "file", 2**40)
    with pytest.raises(OSError, match="Larger than 16 MiB"):
        read_regular(tmp_path / "file")
