"""A newcomer's walk: what the landing page says, done on a clean Debian, beside Debian's Prometheus."""

import contextlib
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from debian_machine import Machine, machine, needs_machine
from processes import eventually

ROOT = Path(__file__).parents[2]

# Debian is installed, its package is built, and Prometheus reads a file some seconds after it changed.
pytestmark = [pytest.mark.walk, pytest.mark.timeout(600), needs_machine]

TARGETS = """
import json, urllib.request
with urllib.request.urlopen("http://localhost:9090/api/v1/targets") as answer:
    active = json.load(answer)["data"]["activeTargets"]
print(json.dumps([one["labels"] for one in active if one["scrapePool"] == "kuma-dataplanes"]))
"""


def steps() -> list[str]:
    """Return the commands of the landing page's section about Debian."""
    section = (ROOT / "README.md").read_text().split("\n## Install it on Debian or Ubuntu\n")[1].split("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)


def meshes(debian: Machine) -> set[str]:
    """Return the meshes of all targets that Prometheus has."""
    labels: list[dict[str, str]] = json.loads(debian.run(f"python3.11 -c '{TARGETS}'"))
    return {label["mesh"] for label in labels}


def newer(package: Path, directory: Path) -> tuple[Path, str]:
    """Make a package of a next version; returns it and the version."""
    files = directory / "newer"
    subprocess.run(["dpkg-deb", "--raw-extract", package, files], check=True)
    control = (files / "DEBIAN/control").read_text()
    version = re.findall(r"^Version: (.*)$", control, flags=re.MULTILINE)[0]
    (files / "DEBIAN/control").write_text(control.replace(f"Version: {version}", f"Version: {version}+next"))
    (module,) = files.glob("opt/kuma-sd/lib/python3*/site-packages/kuma_sd/_version.py")
    module.write_text(f'__version__ = "{version}+next"\n')
    # A version with other options has another sample; the conffile stays as it is.
    with (files / "usr/share/doc/kuma-sd/kuma-sd.conf").open("a") as sample:
        sample.write("#another-option = 1\n")
    built = directory / f"kuma-sd_{version}+next_all.deb"
    subprocess.run(["dpkg-deb", "--build", "-Zgzip", "-z1", files, built], check=True, capture_output=True)
    return built, f"{version}+next"


@contextlib.contextmanager
def read_all_along(file: Path) -> Iterator[list[str]]:
    """Read a file again and again until the block ends; yields what was wrong with it."""
    wrong: list[str] = []
    ended, begun = threading.Event(), threading.Event()

    def read() -> None:
        while not ended.wait(0.001):
            try:
                if not json.loads(file.read_bytes()):
                    wrong.append("no target")
            except (OSError, ValueError) as error:
                wrong.append(str(error))
            begun.set()

    thread = threading.Thread(target=read)
    thread.start()
    try:
        assert begun.wait(10)
        yield wrong
    finally:
        ended.set()
        thread.join()


@pytest.fixture
def debian(tmp_path: Path) -> Iterator[Machine]:
    """Start a clean Debian, with what is installed on the walk in /srv."""
    with machine(tmp_path) as one:
        # Less to wait for: what is only recommended, like exporters, changes nothing for us.
        (one.root / "etc/apt/apt.conf.d/few").write_text('APT::Install-Recommends "false";')
        one.run("apt-get update -qq", network=True)
        package = max((ROOT / "dist").glob("kuma-sd_*.deb"), key=lambda path: path.stat().st_mtime)
        # As in a clone: the package where it is built, and the plugin. What builds the plugin comes from here.
        (one.root / "srv/dist").mkdir()
        shutil.copy(package, one.root / "srv/dist")
        ignored = shutil.ignore_patterns("build", "*.egg-info", "__pycache__")
        shutil.copytree(ROOT / "plugins/kuma-sd-example", one.root / "srv/plugins/kuma-sd-example", ignore=ignored)
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", f"--dest={one.root / 'srv'}"]
        subprocess.run([*fetch, "setuptools>=77"], check=True)
        yield one


def test_a_newcomer_comes_from_the_landing_page_to_targets_and_back_to_nothing(debian: Machine, tmp_path: Path) -> None:
    build, install, configure, scrape, narrow, extend, purge = steps()
    assert build == "script/deb\n"
    published = debian.root / "run/kuma-prometheus-sd/kuma.file_sd.json"

    debian.run(f"cd /srv && {install}", network=True)
    assert "prometheus" in debian.run("id --name --groups kuma-sd").split()
    debian.run("setsid kuma-sd simulate >/var/log/simulate.log 2>&1 &")
    assert "settings from /etc/kuma-sd.conf" in debian.run(configure)
    debian.run(scrape)
    eventually(lambda: meshes(debian) == {"default", "payments", "shop"}, "Prometheus has the targets")

    explained = debian.run(narrow)
    assert "payments" in explained
    eventually(lambda: meshes(debian) == {"default"}, "Prometheus has the filtered targets only")
    eventually(lambda: "dropped" in debian.run(narrow.splitlines()[-1]), "the filter is in effect")

    assert "kuma-sd-example" in debian.run(f"cd /srv && {extend}", PIP_NO_INDEX="1", PIP_FIND_LINKS="/srv")

    package, version = newer(next((debian.root / "srv/dist").glob("*.deb")), tmp_path)
    (debian.root / "srv/newer/dist").mkdir(parents=True)
    shutil.copy(package, debian.root / "srv/newer/dist")
    edited = (debian.root / "etc/kuma-sd.conf").read_text()
    ready = "kuma-sd status --ready >/dev/null 2>&1 && echo ready"
    before = debian.run("cat /run/started/kuma-sd")
    with read_all_along(published) as wrong:
        debian.run(f"cd /srv/newer && {install}", network=True)
        eventually(lambda: "ready" in debian.run(ready, check=False), "the new daemon has published")
    assert wrong == []
    # It asked nothing, for there is nothing to answer on standard input, and kept what was edited.
    assert (debian.root / "etc/kuma-sd.conf").read_text() == edited
    assert not list((debian.root / "etc").glob("kuma-sd.conf.dpkg-*"))
    assert debian.run("cat /run/started/kuma-sd") != before
    assert debian.run("kuma-sd version") == f"kuma-sd {version}\n"
    assert "kuma-sd-example" in debian.run("kuma-sd plugins")

    debian.run(purge, network=True)
    assert not published.exists()
    left = debian.run("find / -xdev -name '*kuma*' -not -path '/proc/*' -not -path '/srv/*' -not -path '/var/log/*'")
    assert left == ""
    assert debian.run("getent passwd kuma-sd; getent group kuma-sd", check=False) == ""
