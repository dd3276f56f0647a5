"""Tell in a line how each target differs from before."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Targets = dict[tuple[str, str], dict[str, str]]
"""Labels, including the address, by mesh and dataplane."""


def changes(before: Targets, now: Targets) -> Iterator[str]:
    """Yield a line for each target that was added, removed or changed."""
    for mesh, name in sorted(now.keys() - before.keys()):
        yield f"added    {mesh}/{name} at {now[mesh, name]['__address__']}"
    for mesh, name in sorted(before.keys() - now.keys()):
        yield f"removed  {mesh}/{name}"
    for mesh, name in sorted(now.keys() & before.keys()):
        old, new = before[mesh, name], now[mesh, name]
        differing = sorted(label for label in old.keys() | new.keys() if old.get(label) != new.get(label))
        # Kuma makes two labels of each tag; the plural repeats the value.
        shown = [label for label in differing if label.removesuffix("s") not in differing or not label.endswith("s")]
        if shown:
            yield f"changed  {mesh}/{name}: " + ", ".join(
                f"{label.strip('_')} {old.get(label, 'none')} -> {new.get(label, 'none')}" for label in shown
            )


def read_targets(path: Path) -> Targets:
    """Read a target file."""
    targets: Targets = {}
    groups: list[dict[str, Any]] = json.loads(path.read_bytes())
    for group in groups:
        labels = group["labels"]
        targets[labels["mesh"], labels["dataplane"]] = labels | {"__address__": group["targets"][0]}
    return targets
