"""A release says which licences it brings along, and what could not be audited."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).parents[2] / "script/dependencies.py"


def check(folder: Path, licences: Any, *audited: dict[str, Any], **environment: str) -> tuple[int, str]:
    """Run the check for one library; returns its status and all it said."""
    (folder / "sbom.json").write_text(json.dumps({"components": [{"name": "library", "licenses": licences}]}))
    (folder / "audit.json").write_text(json.dumps({"dependencies": audited}))
    command = [sys.executable, *(str(item) for item in (SCRIPT, folder / "sbom.json", folder / "audit.json"))]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
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


def test_what_could_not_be_audited_is_said_and_never_counts_as_harmless(tmp_path: Path) -> None:
    skipped = {"name": "library", "skip_reason": "not found"}
    status, said = check(tmp_path, MIT, skipped)
    assert (status, "NOT AUDITED" in said, "no known" in said) == (3, True, False)
    assert check(tmp_path, MIT, skipped, CI="true")[0] == 0
