"""The locks hold all that is required, with hashes, and agree with each other and with what setup.cfg allows."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = {path.stem: path.read_text() for path in sorted((ROOT / "requirements").glob("*.txt"))}
# What builds and what only tests read is in environments of its own.
TOGETHER = LOCKS.keys() - {"build", "xds"}


def pins(lock: str) -> Iterator[Requirement]:
    """Yield what a lock pins."""
    for line in lock.splitlines():
        if line and line[0] not in " #":
            yield Requirement(line.removesuffix("\\"))


def required(name: str) -> list[Requirement]:
    """Return what the lock of this name is made of."""
    command = ["sh", "-euc", '. script/environment; requirements "$1"', "script/test", name]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    return [Requirement(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_what_is_required_in_versions_that_are_allowed(name: str) -> None:
    versions: dict[str, list[str]] = {}
    for pin in pins(LOCKS[name]):
        (version,) = pin.specifier
        versions.setdefault(canonicalize_name(pin.name), []).append(version.version)
    requirements = required(name)
    assert requirements
    for requirement in requirements:
        found = versions.get(canonicalize_name(requirement.name), [])
        assert found, f"{requirement} is missing from requirements/{name}.txt; run script/lock"
        assert list(requirement.specifier.filter(found)) == found, f"{requirement}: {found}; run script/lock"


@pytest.mark.parametrize("name", LOCKS)
def test_everything_locked_has_hashes_and_nothing_names_an_index(name: str) -> None:
    for entry in re.split(r"\n(?=\S)", LOCKS[name]):
        assert entry.startswith("#") or re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry
    assert "//" not in LOCKS[name]
    assert "--index" not in LOCKS[name]


def test_locks_agree() -> None:
    pinned: dict[str, dict[str, str]] = {}
    for name in TOGETHER:
        for pin in pins(LOCKS[name]):
            key = f"{canonicalize_name(pin.name)} {'3.11' if pin.marker is None else pin.marker}"
            pinned.setdefault(key, {})[name] = str(pin.specifier)
    assert {key: found for key, found in pinned.items() if len(set(found.values())) > 1} == {}
