"""Check what a release brings along: dependencies.py SBOM AUDIT, as cyclonedx-py and pip-audit wrote them.

Exits with 1 if a licence is not among those that we may pass on, or a vulnerability is known; with 3 if something could
not be audited, which is no failure in continuous integration (CI=true).
"""

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Each may be passed on unchanged beside Apache-2.0 code; MPL-2.0 asks for no more than its own files' source.
ALLOWED = {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0", "PSF-2.0"}
CLASSIFIERS = {"BSD License": "BSD-3-Clause", "MIT License": "MIT", "Apache Software License": "Apache-2.0"}
# Its metadata says nothing; the file LICENSE in it is this one.
UNDECLARED = {"protobuf": "BSD-3-Clause"}
OURS = re.compile(r"kuma[-_.]sd\b")


def main(sbom: Path, audit: Path) -> int:
    """Check both; returns the exit status."""
    components = json.loads(sbom.read_text())["components"]
    forbidden = [
        f"{component['name']}: its licence is not allowed: {licence(component)}"
        for component in components
        if not allowed(component)
    ]
    known = list(vulnerabilities(audit))
    unknown = unaudited(audit)
    for line in forbidden + known:
        print(line, file=sys.stderr)
    if unknown:
        print(f"NOT AUDITED, the vulnerability service does not know or answer: {unknown}", file=sys.stderr)
    elif not known:
        print("no known vulnerability")
    print(f"licences: {', '.join(sorted({licence(component) for component in components}))}")
    if forbidden or known:
        return 1
    return 3 if unknown and not os.environ.get("CI") else 0


def licence(component: dict[str, Any]) -> str:
    """Return the SPDX expression of a component's licence, as far as it says; classifiers only if nothing better."""
    said = component.get("licenses") or []
    names = [finding.get("expression") or finding["license"].get("id") for finding in said]
    classifiers = [finding["license"].get("name", "").rpartition(" :: ")[2] for finding in said if "license" in finding]
    best = [name for name in names if name] or [CLASSIFIERS.get(name, name) for name in classifiers if name]
    return " AND ".join(best) or UNDECLARED.get(component["name"], "none is declared")


def allowed(component: dict[str, Any]) -> bool:
    """Return whether all of a component's licences are."""
    return ALLOWED.issuperset(re.split(r" (?:AND|OR) ", licence(component).strip("()")))


def vulnerabilities(audit: Path) -> Iterator[str]:
    """Yield a line for each known vulnerability."""
    for finding in _audited(audit):
        for found in finding.get("vulns", ()):
            fixed = ", ".join(found.get("fix_versions", ())) or "no version yet"
            yield f"{finding['name']} {finding['version']}: {found['id']}, fixed in {fixed}"


def unaudited(audit: Path) -> str:
    """Return what was not audited: pip-audit passes over what its service does not know, and still ends with 0."""
    if not audit.exists():
        return "anything"
    return ", ".join(
        finding["name"] for finding in _audited(audit) if "skip_reason" in finding and not OURS.match(finding["name"])
    )


def _audited(audit: Path) -> list[dict[str, Any]]:
    dependencies: list[dict[str, Any]] = json.loads(audit.read_text())["dependencies"] if audit.exists() else []
    return dependencies


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
