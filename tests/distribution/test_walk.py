"""A newcomer's walk: what the landing page says, done on a clean Debian, beside Debian's Prometheus."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from debian_machine import Machine, machine, needs_machine
from debian_package import newer, package_of_debian, read_all_along
from waiting import eventually

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
    build, *others = re.findall(r"^```sh\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)
    assert build == "script/deb\n", "script/walk has done this"
    return others


def meshes(debian: Machine) -> set[str]:
    """Return the meshes of all targets that Prometheus has."""
    labels: list[dict[str, str]] = json.loads(debian.run(f"python3.11 -c '{TARGETS}'"))
    return {label["mesh"] for label in labels}


@pytest.fixture
def debian(tmp_path: Path) -> Iterator[Machine]:
    """Start a clean Debian, with what is installed on the walk in /srv."""
    with machine(tmp_path) as one:
        one.run("apt-get update -qq", network=True)
        (one.root / "srv/dist").mkdir()
        shutil.copy(package_of_debian(), one.root / "srv/dist")
        # As in a clone; what builds the plugin there comes from here.
        ignored = shutil.ignore_patterns("build", "*.egg-info", "__pycache__")
        shutil.copytree(ROOT / "plugins/kuma-sd-example", one.root / "srv/plugins/kuma-sd-example", ignore=ignored)
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", f"--dest={one.root / 'srv'}"]
        subprocess.run([*fetch, "setuptools>=77"], check=True)
        yield one


def test_a_newcomer_comes_from_the_landing_page_to_targets_and_back_to_nothing(debian: Machine, tmp_path: Path) -> None:
    install, configure, scrape, narrow, extend, purge = steps()
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

    package, version = newer(package_of_debian(), tmp_path)
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
