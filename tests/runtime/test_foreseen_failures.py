"""`kuma-sd check` says what `kuma-sd run` would refuse or fail at for good, and judges nothing as another user."""

import grp
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from other_user import KUMA_SD, as_user, give_to, needs_root
from settings_kit import settings_of

from kuma_sd import ConfigError
from kuma_sd.plugin.manager import Plugins
from kuma_sd.runtime.builder import build
from kuma_sd.runtime.foreseen_failures import can_be_daemons_user, check_failures

STRANGER = 23456

Make = Callable[[Path], object]


def settings_file(directory: Path, **options: str) -> Path:
    """Write settings with two control planes, both with a CA file and one with a token."""
    for name in ("state", "published"):
        (directory / name).mkdir()
        give_to(KUMA_SD, directory / name)
    (directory / "ca.pem").touch()
    (directory / "token").write_text("token")
    lines = [f"{name} = {value}" for name, value in ({"path": f"{directory}/published/t.json"} | options).items()]
    file = directory / "kuma-sd.conf"
    file.write_text(
        "[kuma-sd]\n"
        "cp-address = east=https://a west=https://b\n"
        f"state-dir = {directory}/state\n"  # 3
        f"tls-ca-file = {directory}/ca.pem\n"
        "[west]\n"
        f"tls-ca-file = {directory}/ca.pem\n"  # 6
        f"bearer-token-file = {directory}/token\n"
        "[file_sd]\n" + "\n".join(lines)  # 9
    )
    return file


def mistakes(file: Path) -> list[str]:
    """Return what the check of a file says."""
    settings = settings_of(file=file, plugins=Plugins())
    try:
        components = build(settings)
        check_failures(settings, components)
    except ConfigError as error:
        return [mistake.replace(f"{file}:", "") for mistake in error.mistakes]
    components.close()
    return []


def said_to(user: int, file: Path) -> list[str]:
    # What is imported late must be there already: this user may not be able to read it.
    mistakes(file)
    with as_user(user, file.parent):
        return mistakes(file)


def close_files(directory: Path) -> None:
    (directory / "ca.pem").chmod(0)
    (directory / "token").chmod(0)


def pipe_at_the_ca(directory: Path) -> None:
    (directory / "ca.pem").unlink()
    os.mkfifo(directory / "ca.pem")


def folder_of_a_stranger(directory: Path) -> None:
    (directory / "published" / ".kuma-sd").mkdir()
    give_to(STRANGER, directory / "published" / ".kuma-sd")


def link_of_a_stranger(directory: Path) -> None:
    (directory / "state").rename(directory / "elsewhere")
    (directory / "state").symlink_to("elsewhere")
    give_to(STRANGER, directory / "state")


def link_at_the_lock_of_state(directory: Path) -> None:
    (directory / "state" / "kuma-sd.lock").symlink_to("x")
    give_to(KUMA_SD, directory / "state" / "kuma-sd.lock")


FAULTS: list[tuple[Make, list[str]]] = [
    (
        close_files,
        [
            "4: tls-ca-file '{}/ca.pem' cannot be read: ",
            "6: tls-ca-file '{}/ca.pem' cannot be read: ",
            "7: bearer-token-file '{}/token' cannot be read: ",
        ],
    ),
    (
        pipe_at_the_ca,
        [
            "4: tls-ca-file '{}/ca.pem' cannot be read: Not a regular file",
            "6: tls-ca-file '{}/ca.pem' cannot be read: Not a regular file",
        ],
    ),
    (
        folder_of_a_stranger,
        ["9: output file_sd: cannot write into the directory '{0}/published': '{0}/published/.kuma"],
    ),
    (
        link_of_a_stranger,
        ["3: state-dir '{0}/state' cannot be used: '{0}/state' is a symbolic link that belongs to an"],
    ),
    (link_at_the_lock_of_state, ["3: state-dir '{0}/state' cannot be used: '{0}/state/kuma-sd.lock' belongs to uid "]),
]


@needs_root
@pytest.mark.parametrize(("make", "expected"), FAULTS, ids=lambda value: getattr(value, "__name__", "said"))
def test_what_the_daemon_would_fail_at_is_said_to_its_user(tmp_path: Path, make: Make, expected: list[str]) -> None:
    file = settings_file(tmp_path)
    assert said_to(KUMA_SD, file) == []
    make(tmp_path)
    said = said_to(KUMA_SD, file)
    assert len(said) == len(expected)
    for line, beginning in zip(sorted(said), expected, strict=True):
        assert line.startswith(beginning.format(tmp_path))


@needs_root
def test_a_group_in_which_the_daemons_user_is_not_is_said_to_that_user(tmp_path: Path) -> None:
    group = grp.getgrall()[1].gr_name
    file = settings_file(tmp_path, group=group)
    said = said_to(KUMA_SD, file)
    assert [line.partition(", in which")[0] for line in said] == [
        f"10: output file_sd: the user {KUMA_SD} may not give the file to the group '{group}'"
    ]
    assert mistakes(file) == []


def test_a_group_that_is_not_there_is_said_to_everybody(tmp_path: Path) -> None:
    file = tmp_path / "kuma-sd.conf"
    file.write_text(f"[kuma-sd]\ncp-address = http://a\n[file_sd]\npath = {tmp_path}/t.json\ngroup = nosuch\n")
    said = "5: output file_sd: there is no group 'nosuch' to give the file to; make it, or set another group"
    assert mistakes(file) == [said]


def test_names_of_parts_that_are_too_long_with_their_endings_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "kuma-sd.conf"
    # The name is one of 242 bytes, but that of the record of the parts is longer.
    file.write_text(f"[kuma-sd]\ncp-address = http://a\n[file_sd]\npath = {tmp_path}/{{part}}/{'x' * 237}.json\n")
    (line,) = mistakes(file)
    assert line.startswith("4: output file_sd: the name of ")
    assert "may have 242" in line


@needs_root
@pytest.mark.parametrize("user", [0, STRANGER])
def test_what_only_the_daemons_user_can_tell_is_no_mistake_for_another(tmp_path: Path, user: int) -> None:
    """As when an administrator checks the settings of a service whose directories a group may write."""
    file = settings_file(tmp_path)
    published = tmp_path / "published"
    (published / ".kuma-sd").mkdir(0o700)
    (published / ".kuma-sd" / "t.json.lock").touch(0o600)
    give_to(KUMA_SD, published / ".kuma-sd", published / ".kuma-sd" / "t.json.lock")
    os.chown(published, 0, KUMA_SD)
    published.chmod(0o2775)
    (tmp_path / "state").chmod(0o700)
    close_files(tmp_path)
    for name in ("ca.pem", "token"):
        (tmp_path / name).chmod(0o600)
        give_to(KUMA_SD, tmp_path / name)
    mistakes(file)
    if user:
        with as_user(user, tmp_path):
            assert mistakes(file) == []
    assert mistakes(file) == []
    with as_user(KUMA_SD, tmp_path):
        assert mistakes(file) == []


@needs_root
def test_whether_the_daemon_can_run_as_this_user_is_known_from_what_it_may_write(tmp_path: Path) -> None:
    state, missing, published = tmp_path / "state", tmp_path / "missing" / "state", tmp_path / "published"
    for directory in (state, published):
        directory.mkdir()
    tmp_path.chmod(0o755)
    assert can_be_daemons_user(state, [])
    with as_user(KUMA_SD, tmp_path):
        assert not can_be_daemons_user(state, [published])
        assert not can_be_daemons_user(missing, [])
    published.chmod(0o777)
    with as_user(KUMA_SD, tmp_path):
        assert not can_be_daemons_user(state, [published])
        assert can_be_daemons_user(missing, [published / "not" / "made"])
    # A volume whose owner is root, as with fsGroup.
    os.chown(state, 0, KUMA_SD)
    state.chmod(0o2775)
    with as_user(KUMA_SD, tmp_path):
        assert can_be_daemons_user(state, [])
    give_to(KUMA_SD, state)
    assert not can_be_daemons_user(state, [published])
