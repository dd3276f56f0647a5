"""A release says which licences it brings along, and what could not be audited."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "script/dependencies.py"


def check(folder: Path, licences: Any, *audited: dict[str, Any], flags: tuple[str, ...] = ()) -> tuple[int, str]:
    """Run the check for one library; returns its status and all it said."""
    (folder / "audit.json").write_text(json.dumps({"dependencies": audited}))
    return run(folder, licences, *flags)


def run(folder: Path, licences: Any, *flags: str) -> tuple[int, str]:
    (folder / "sbom.json").write_text(json.dumps({"components": [{"name": "library", "licenses": licences}]}))
    command = [sys.executable, str(SCRIPT), *flags, str(folder / "sbom.json"), str(folder / "audit.json")]
    # Continuous integration is no excuse.
    done = subprocess.run(command, check=False, capture_output=True, text=True, env={"CI": "true"})
    return done.returncode, done.stdout + done.stderr


MIT = [{"license": {"id": "MIT"}}]
HARMLESS = {"name": "library", "version": "1", "vulns": []}


def test_what_is_free_and_harmless_passes(tmp_path: Path) -> None:
    assert check(tmp_path, MIT, HARMLESS) == (0, "no known vulnerability\nlicences: MIT\n")


def test_a_licence_that_is_not_on_the_list_fails(tmp_path: Path) -> None:
    for licences in ([{"license": {"id": "AGPL-3.0"}}], [{"expression": "MIT AND AGPL-3.0"}], None):
        assert check(tmp_path, licences, HARMLESS)[0] == 1


def test_a_known_vulnerability_fails(tmp_path: Path) -> None:
    status, said = check(tmp_path, MIT, HARMLESS | {"vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]})
    assert status == 1
    assert "library 1: CVE-1, fixed in 2" in said


SKIPPED = {"name": "library", "skip_reason": "not found"}


@pytest.mark.parametrize("audited", [(SKIPPED,), ()])
def test_what_could_not_be_audited_fails(tmp_path: Path, audited: tuple[dict[str, Any], ...]) -> None:
    status, said = check(tmp_path, MIT, *audited)
    assert (status, "NOT AUDITED for known vulnerabilities: library" in said, "no known" in said) == (3, True, False)


@pytest.mark.parametrize("written", [None, "", "[]", "{}"])
def test_an_audit_that_never_ran_to_its_end_fails(tmp_path: Path, written: str | None) -> None:
    if written is not None:
        (tmp_path / "audit.json").write_text(written)
    status, said = run(tmp_path, MIT)
    assert (status, "NOT AUDITED for known vulnerabilities: library" in said) == (3, True)


def test_what_is_released_unaudited_is_noted(tmp_path: Path) -> None:
    note = tmp_path / "UNAUDITED"
    flags = ("--unaudited", str(note))
    assert check(tmp_path, MIT, SKIPPED, flags=flags)[0] == 0
    assert note.read_text() == "NOT AUDITED for known vulnerabilities: library\n"
    assert check(tmp_path, MIT, HARMLESS | {"vulns": [{"id": "CVE-1"}]}, flags=flags)[0] == 1, (
        "what is known still counts"
    )


def test_names_are_compared_as_the_index_does(tmp_path: Path) -> None:
    assert check(tmp_path, MIT, HARMLESS | {"name": "Library"})[0] == 0
