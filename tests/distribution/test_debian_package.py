"""Debian's package can be built again."""

import subprocess
from pathlib import Path

import pytest
from debian_package import package_of_debian

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.walk, pytest.mark.timeout(600)]


def test_a_second_package_of_the_same_commit_is_equal(tmp_path: Path) -> None:
    subprocess.run([ROOT / "script/deb", tmp_path], check=True, capture_output=True)
    (again,) = tmp_path.glob("*.deb")
    assert again.read_bytes() == package_of_debian().read_bytes()
