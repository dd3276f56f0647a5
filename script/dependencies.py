"""Check the dependencies of a release: licences from cyclonedx-py (SBOM), vulnerabilities from pip-audit (AUDIT).

Exits with 1 if a licence is not among those that we may pass on, or a vulnerability is known; with 3 if something could
not be audited. With --unaudited that is no failure, and NOTE says it.
"""

import argparse
import json
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


def main() -> int:
    """Check both; return the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--unaudited", type=Path)
    parser.add_argument("sbom", type=Path)
    parser.add_argument("audit", type=Path)
    paths = parser.parse_args()
    components = json.loads(paths.sbom.read_text())["components"]
    failed = report(components, paths.audit)
    gap = unaudited(components, paths.audit)
    if gap:
        said = f"NOT AUDITED for known vulnerabilities: {gap}"
        print(said, file=sys.stderr)
        if paths.unaudited:
            paths.unaudited.write_text(f"{said}\n")
    if failed:
        return 1
    return 3 if gap and not paths.unaudited else 0


def report(components: list[dict[str, Any]], audit: Path) -> bool:
    """Print what is wrong and which licences there are; returns whether anything is wrong."""
    forbidden = [
        f"{component['name']}: its licence is not allowed: {licence(component)}"
        for component in components
        if not allowed(component)
    ]
    wrong = forbidden + list(vulnerabilities(audit))
    for line in wrong:
        print(line, file=sys.stderr)
    if not wrong and not unaudited(components, audit):
        print("no known vulnerability")
    print(f"licences: {', '.join(sorted({licence(component) for component in components}))}")
    return bool(wrong)


def licence(component: dict[str, Any]) -> str:
    """Return the SPDX expression of a component's licence, as far as it says; classifiers only if nothing better."""
    said = component.get("licenses") or []
    names = [entry.get("expression") or entry["license"].get("id") for entry in said]
    classifiers = [entry["license"].get("name", "").rpartition(" :: ")[2] for entry in said if "license" in entry]
    best = [name for name in names if name] or [CLASSIFIERS.get(name, name) for name in classifiers if name]
    return " AND ".join(best) or UNDECLARED.get(component["name"], "none is declared")


def allowed(component: dict[str, Any]) -> bool:
    """Return whether all of a component's licences are."""
    return ALLOWED.issuperset(re.split(r" (?:AND|OR) ", licence(component).strip("()")))


def vulnerabilities(audit: Path) -> Iterator[str]:
    """Yield a line for each known vulnerability."""
    for dependency in _audited(audit):
        for found in dependency.get("vulns", ()):
            fixed = ", ".join(found.get("fix_versions", ())) or "no version yet"
            yield f"{dependency['name']} {dependency['version']}: {found['id']}, fixed in {fixed}"


def unaudited(components: list[dict[str, Any]], audit: Path) -> str:
    """Return what was not audited: pip-audit passes over what its service does not know, and still ends with 0."""
    known = {_plain(entry["name"]) for entry in _audited(audit) if "skip_reason" not in entry}
    foreign = {_plain(component["name"]) for component in components if not OURS.match(component["name"])}
    return ", ".join(sorted(foreign - known))


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _audited(audit: Path) -> list[dict[str, Any]]:
    try:
        dependencies: list[dict[str, Any]] = json.loads(audit.read_text())["dependencies"]
    except (OSError, ValueError, KeyError, TypeError):
        return []  # it never ran to its end
    return dependencies


if __name__ == "__main__":
    sys.exit(main())
