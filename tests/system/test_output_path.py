import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kuma_sd import OutputError
from kuma_sd.system.output_path import check_output_path

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="giving links to others needs root")


@needs_root
def test_a_link_of_another_user_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "targets.json").symlink_to("/etc/passwd")
    os.chown(tmp_path / "targets.json", 12345, 12345, follow_symlinks=False)
    with pytest.raises(OutputError, match=r"belongs to another user \(uid 12345\).* where it leads: '/etc/passwd'"):
        check_output_path(tmp_path / "targets.json")


def test_a_single_mounted_file_is_refused_with_what_to_mount_instead(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    path = tmp_path / "a b" / "targets.json"
    path.write_text("[]")
    code = "import sys; from pathlib import Path; from kuma_sd.system.output_path import *; "
    code += "check_output_path(Path(sys.argv[1]))"
    script = 'mount --bind "$1" "$1" && exec "$3" -c "$2" "$1"'
    command = ["unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh", str(path), code, sys.executable]
    if subprocess.run([*command[:3], "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespace can be made here")
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f"mount its directory '{path.parent}' instead" in ended.stderr


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    try:
        # The numbers of /dev/null (null(4)).
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("no device can be made here")


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))


@pytest.mark.parametrize(("make", "kind"), [(pipe, "a pipe"), (device, "a device"), (unix_socket, "a socket")])
def test_what_is_no_file_is_refused_by_its_name_and_stays(
    tmp_path: Path, make: Callable[[Path], None], kind: str
) -> None:
    make(tmp_path / "it")
    (tmp_path / "link").symlink_to("it")
    for path in (tmp_path / "it", tmp_path / "link"):
        with pytest.raises(
            OutputError, match=f"'{path}' is {kind}, which would be replaced by a file; give the output"
        ):
            check_output_path(path)


def test_a_file_a_directory_and_nothing_are_no_mistake_of_the_path(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "directory").mkdir()
    for name in ("file", "directory", "nothing", "no/where"):
        check_output_path(tmp_path / name)


@needs_root
def test_a_pipe_that_another_user_put_there_keeps_nobody_from_starting(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    os.mkfifo(tmp_path / "targets.json")
    os.chown(tmp_path / "targets.json", 12345, 12345)
    check_output_path(tmp_path / "targets.json")


@needs_root
def test_a_directory_that_another_user_put_there_is_said_with_what_to_run(tmp_path: Path) -> None:
    path = tmp_path / "targets.json"
    path.mkdir()
    os.chown(path, 12345, 12345)
    said = rf"'{path}' is a directory of another user \(uid 12345\); remove it: rm -r {path}"
    with pytest.raises(OutputError, match=said):
        check_output_path(path)
