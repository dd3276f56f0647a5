import grp
import os
import re
from pathlib import Path

import pytest
from other_user import KUMA_SD, as_user, needs_root

from kuma_sd import OutputError, replace_file
from kuma_sd.system.file_group import check_group

FOREIGN = next(group for group in grp.getgrall() if group.gr_gid not in (os.getegid(), *os.getgroups()))
"""A group in which this process is not."""


def test_a_group_that_is_not_there_is_named_for_every_user() -> None:
    for as_daemon in (False, True):
        with pytest.raises(OutputError, match="there is no group 'nosuch'"):
            check_group("nosuch", as_daemon=as_daemon)


def test_the_own_group_is_no_fault() -> None:
    check_group("", as_daemon=True)
    check_group(grp.getgrgid(os.getegid()).gr_name, as_daemon=True)


@needs_root
def test_a_group_in_which_the_user_is_not_is_named_with_what_to_do_before_and_while_writing(tmp_path: Path) -> None:
    group = FOREIGN.gr_name
    said = (
        f"the user {KUMA_SD} may not give the file to the group '{group}', in which it is not; run: usermod -aG {group}"
    )
    with as_user(KUMA_SD, tmp_path):
        with pytest.raises(OutputError, match=re.escape(said)):
            check_group(group, as_daemon=True)
        check_group(group, as_daemon=False)
    os.chown(tmp_path, KUMA_SD, KUMA_SD)
    with as_user(KUMA_SD, tmp_path), pytest.raises(OutputError, match=re.escape(said)):
        replace_file(tmp_path / "t.json", [b"x"], group=group)
    assert list((tmp_path / ".kuma-sd").iterdir()) == []
    check_group(group, as_daemon=True)
