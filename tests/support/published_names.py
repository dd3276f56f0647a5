"""What a published file holds."""

import json
from pathlib import Path


def names(path: Path) -> list[str]:
    """Return the dataplanes in a published file; none where there is no file."""
    return [group["labels"]["dataplane"] for group in json.loads(path.read_bytes())] if path.exists() else []
