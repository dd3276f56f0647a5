import os
import stat
from pathlib import Path

import pytest
from os_reasons import NOT_A_DIRECTORY

from kuma_sd.core.errors import KumaSDError
from kuma_sd.state.instance_directory import make_instance_directory


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_private_and_made_once(tmp_path: Path) -> None:
    made = make_instance_directory(tmp_path / "new/state", "output", "summary")
    assert made == tmp_path / "new/state/plugins/output.summary"
    assert (mode(made), mode(made.parent)) == (0o700, 0o700)
    (made / "revision").write_text("7")
    assert make_instance_directory(tmp_path / "new/state", "output", "summary") == made
    assert (made / "revision").read_text() == "7"


def test_no_two_instances_share_one(tmp_path: Path) -> None:
    instances = [("source", ""), ("source", "source"), ("output", "source"), ("output", "east"), ("source", "east")]
    assert len({make_instance_directory(tmp_path, kind, name) for kind, name in instances}) == len(instances)


def test_rights_that_are_too_wide_are_taken_back(tmp_path: Path) -> None:
    made = make_instance_directory(tmp_path, "output", "summary")
    made.chmod(0o777)
    make_instance_directory(tmp_path, "output", "summary")
    assert mode(made) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_one_that_belongs_to_another_user_is_refused(tmp_path: Path) -> None:
    made = make_instance_directory(tmp_path, "output", "summary")
    os.chown(made, 12345, 12345)
    with pytest.raises(KumaSDError, match=r"output.summary' belongs to another user \(uid 12345\)"):
        make_instance_directory(tmp_path, "output", "summary")


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/output.summary").symlink_to(tmp_path)
    with pytest.raises(KumaSDError, match=r"cannot make the state directory .*output.summary'"):
        make_instance_directory(tmp_path, "output", "summary")


def test_what_is_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(KumaSDError) as raised:
        make_instance_directory(tmp_path / "state", "output", "summary")
    said = f"cannot make the state directory '{tmp_path}/state/plugins/output.summary'"
    assert str(raised.value) == f"{said}: {NOT_A_DIRECTORY}"
