"""Parse durations as Go does."""

import re

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")


def parse_duration(text: str) -> float:
    """Parse a duration like ``1m30s`` as Go's time.ParseDuration does; returns seconds.

    Raises:
        ValueError: Go refuses it, for example a number other than 0 without a unit.
    """
    unsigned = text.removeprefix("-") if text.startswith("-") else text.removeprefix("+")
    if unsigned == "0":
        return 0.0
    parts = list(_PART.finditer(unsigned))
    if not parts or "".join(part.group() for part in parts) != unsigned:
        raise ValueError(f"invalid duration {text!r}")
    seconds = sum(float(part[1]) * _UNITS[part[2]] for part in parts)
    return -seconds if text.startswith("-") else seconds
