"""A distribution to start from: what is written is the example under another name, and its tests pass."""

import configparser
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kuma_sd.cli.main import main
from kuma_sd.cli.new_plugin import write_distribution
from kuma_sd.core.errors import KumaSDError, UsageError

EXAMPLE = Path(__file__).parents[2] / "plugins/kuma-sd-example"


def register(folder: Path) -> None:
    """Write what pip would: the metadata by which the distribution's plugins are found."""
    declared = configparser.ConfigParser()
    declared.read(folder / "setup.cfg")
    name = declared["metadata"]["name"]
    metadata = folder / f"{name.replace('-', '_')}-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
    entries = declared["options.entry_points"]["kuma_sd.plugins"]
    (metadata / "entry_points.txt").write_text(f"[kuma_sd.plugins]\n{entries.strip()}\n")


@pytest.mark.timeout(240)
def test_its_tests_pass(tmp_path: Path) -> None:
    folder = write_distribution("consul", tmp_path)
    register(folder)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "tests"]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_it_is_the_example_under_another_name(tmp_path: Path) -> None:
    folder = write_distribution("kuma-sd-my_own", tmp_path)
    assert folder == tmp_path / "kuma-sd-my-own"
    assert (folder / "kuma_sd_my_own/py.typed").exists()
    texts = {path: path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert not any("kuma-sd-example" in text or "kuma_sd_example" in text for text in texts.values())
    example = (EXAMPLE / "tests/test_site.py").read_text()
    assert texts[folder / "tests/test_site.py"] == example.replace("kuma_sd_example", "kuma_sd_my_own")


@pytest.mark.parametrize("name", ["", "../x", "Consul", "a b", "1", "-a"])
def test_what_is_no_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is no name; write small letters, digits and '-', like consul"):
        write_distribution(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "kuma-sd-consul").mkdir()
    with pytest.raises(KumaSDError, match=r"cannot write .*kuma-sd-consul'"):
        write_distribution("consul", tmp_path)
    assert not list((tmp_path / "kuma-sd-consul").iterdir())


def test_the_command_says_what_to_do_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["plugins", "new", "consul"]) == 0
    assert "cd kuma-sd-consul && pip install --editable '.[test]' && pytest" in capsys.readouterr().out
    assert (tmp_path / "kuma-sd-consul/setup.cfg").exists()
    assert main(["plugins", "old"]) == 2
    assert capsys.readouterr().err == "kuma-sd: 'old' is not understood; write: kuma-sd plugins new NAME\n"
