"""What is built and shipped: generated code is in the wheel and nowhere else, and the wheel alone is enough to run."""

import configparser
import hashlib
import os
import shutil
import subprocess
import tarfile
import venv
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

from kuma_sd.cli.new_plugin import EXAMPLE, FILES
from kuma_sd.plugin.manager import Plugins
from kuma_sd.settings.loader import load

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "plugins/kuma-sd-example"

LOCKED = os.environ.get("VERSIONS", "locked") == "locked"

# The clean environment fetches all dependencies from the package index.
pytestmark = [pytest.mark.timeout(400)]

NOT_IN_GIT = [".git", *(line.rstrip("/") for line in (ROOT / ".gitignore").read_text().split())]


IN_THE_WHEEL = (".py", "py.typed", ".html", ".css", ".js", ".svg")


class Built(NamedTuple):
    cloned: set[str]
    sdist: set[str]
    wheel: set[str]
    path: Path
    again: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Build the sdist from what a fresh clone holds, and the wheel from that sdist; twice, in two places."""
    clone, out = tmp_path_factory.mktemp("clone") / "kuma-sd", tmp_path_factory.mktemp("dist")
    shutil.copytree(ROOT, clone, ignore=shutil.ignore_patterns(*NOT_IN_GIT))
    cloned = {str(path.relative_to(clone)) for path in clone.rglob("*") if path.is_file()}
    again = tmp_path_factory.mktemp("again")
    for folder in (out, again):
        variables = os.environ | {"SOURCE_DATE_EPOCH": "1700000000"}
        subprocess.run([ROOT / "script/build", folder, clone], check=True, capture_output=True, env=variables)
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    with tarfile.open(sdist) as tar, zipfile.ZipFile(wheel) as archive:
        names = {name.partition("/")[2] for name in tar.getnames()}
        return Built(cloned, names, set(archive.namelist()), wheel, again)


def test_the_wheel_holds_all_code_and_the_generated_too(built: Built) -> None:
    names = {name.removeprefix("plugins/") for name in built.cloned if name.endswith(IN_THE_WHEEL)}
    written = {name for name in names if name.startswith(("kuma_sd/", "kuma_sd_bundled/"))}
    protos = {path.stem for path in (ROOT / "proto").rglob("*.proto")}
    generated = {f"kuma_sd/proto/{name}_pb2.{ending}" for name in protos for ending in ("py", "pyi")}
    example = {f"{EXAMPLE}/{path.relative_to(FOLDER)}" for pattern in FILES for path in FOLDER.glob(pattern)}
    assert {name for name in built.wheel if ".dist-info/" not in name} == written | generated | example


def test_the_sdist_holds_a_whole_clone_and_no_generated_code(built: Built) -> None:
    assert built.cloned - {".gitignore"} <= built.sdist
    assert not [name for name in built.sdist if "_pb2." in name]


def test_two_builds_of_the_same_source_are_equal(built: Built) -> None:
    names = sorted(path.name for path in built.path.parent.iterdir())
    assert names == sorted(path.name for path in built.again.iterdir())
    for name in names:
        assert (built.path.parent / name).read_bytes() == (built.again / name).read_bytes(), name


def test_the_wheel_runs_in_a_clean_environment(built: Built, tmp_path: Path) -> None:
    venv.create(tmp_path, with_pip=True)
    install = [f"{tmp_path}/bin/python", "-m", "pip", "install", "--quiet"]
    if LOCKED:
        lock = ROOT / "requirements/runtime.txt"
        subprocess.run([*install, "--require-hashes", "--requirement", lock], check=True, capture_output=True)
        install.append("--no-deps")
    subprocess.run([*install, built.path], check=True, capture_output=True)
    for command in ("kuma-sd", "kuma-prometheus-sd"):
        ended = subprocess.run(
            [f"{tmp_path}/bin/{command}", "version"], check=True, capture_output=True, text=True, cwd=tmp_path
        )
        assert ended.stdout.strip()
        assert not ended.stderr


def test_every_package_is_declared() -> None:
    declared = configparser.ConfigParser()
    declared.read(ROOT / "setup.cfg")
    modules = [*(ROOT / "kuma_sd").rglob("*.py"), *(ROOT / "plugins/kuma_sd_bundled").rglob("*.py")]
    folders = {".".join(path.parent.relative_to(ROOT).parts).removeprefix("plugins.") for path in modules}
    assert set(declared["options"]["packages"].split()) == folders | {EXAMPLE}


def test_the_settings_file_of_the_debian_package_is_what_it_always_was() -> None:
    # dpkg asks about a conffile that somebody edited only if a new version ships another one. So it never changes: what
    # options there are stands in the sample in /usr/share/doc/kuma-sd.
    shipped = (ROOT / "debian/kuma-sd.conf").read_bytes()
    assert hashlib.sha256(shipped).hexdigest() == "f763a9f97228ea9b0e28a26b9d435121bc76fe9a436c695f7355eced1d243d6c"
    assert load(["-c", str(ROOT / "debian/kuma-sd.conf")], {}, Plugins()) == load([], {}, Plugins())
